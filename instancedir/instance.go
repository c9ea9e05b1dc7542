package instancedir

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Instance is a running instance.
type Instance struct {
	// Path is that of its directory, absolute and without links.
	Path string
	// Name is its name in Properties. It need not be the only one that has it.
	Name       string
	Properties Properties
	// UID is the user that the directory belongs to. Who connects to a socket
	// must expect its other end to be a process of this user, of root, or of
	// the user that root lets it run as.
	UID int

	id           fileID
	webServerPID int
}

// Socket returns the path of a socket of an agent, as CoreAPI.
func (i *Instance) Socket(name string) string { return filepath.Join(i.Path, agentSocketsName, name) }

// ReadOnlyPassword reads the password of ReadOnlyAccount. The error is
// fs.ErrPermission for those who may not: what they may do depends on who they
// are.
func (i *Instance) ReadOnlyPassword() (string, error) { return i.password(readOnlyPasswordName) }

// FullPassword reads the password of FullAccount, as ReadOnlyPassword does.
func (i *Instance) FullPassword() (string, error) { return i.password(fullPasswordName) }

func (i *Instance) password(name string) (_ string, err error) {
	dir, err := openDirectory(i.Path)
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, dir.Close()) }()
	var st unix.Stat_t
	if err := unix.Fstat(dir.FD(), &st); err != nil {
		return "", dir.Fault("stat", "", err)
	}

	// The path may be of a later instance, and of another user's.
	if idOf(&st) != i.id {
		return "", fmt.Errorf("%s was replaced: the instance %s has ended", i.Path, i.Name)
	}

	return readPassword(dir, name)
}
