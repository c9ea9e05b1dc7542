package instancedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/randtext"
	"github.com/gopassenger/passenger/internal/rmtree"
)

// directory is one of an instance's, or the registry.
type directory struct{ rmtree.Dir }

// openDirectory opens what path is. What leads to it may be links, it may not.
func openDirectory(path string) (directory, error) {
	d, err := rmtree.Open(path)
	return directory{d}, err
}

func (d directory) openDirectory(name string) (directory, error) {
	sub, err := d.OpenDir(name)
	return directory{sub}, err
}

func (d directory) path(name string) string { return filepath.Join(d.Name(), name) }

func (d directory) mkdir(name string) error {
	return d.Fault("mkdir", name, unix.Mkdirat(d.FD(), name, 0o700))
}

// fileID tells a file from all others, for as long as it exists.
type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID {
	//nolint:gosec,unconvert,nolintlint // G115: only compared; of another type elsewhere
	return fileID{dev: uint64(st.Dev), ino: st.Ino}
}

//nolint:unconvert,nolintlint // 16 bits elsewhere
func fileType(st *unix.Stat_t) uint32 { return uint32(st.Mode) & unix.S_IFMT }

//nolint:unconvert,nolintlint // 16 bits elsewhere
func permissions(st *unix.Stat_t) uint32 { return uint32(st.Mode) & 0o7777 }

// touch sets the times of name itself to now.
func (d directory) touch(name string) error {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return d.Fault("touch", name, unix.UtimesNanoAt(d.FD(), name, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW))
}

// read returns what the regular file name has, if that is at most limit bytes.
func (d directory) read(name string, limit int64) ([]byte, error) {
	f, err := d.OpenFile(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}

	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}

	if !info.Mode().IsRegular() {
		return nil, d.Fault("read", name, errors.New("it is not a regular file"))
	}

	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}

	if int64(len(content)) > limit {
		return nil, d.Fault("read", name, fmt.Errorf("it has more than %d bytes", limit))
	}

	return content, nil
}

// ownership is the owner and the mode of a new file.
type ownership struct {
	mode     os.FileMode
	uid, gid int
}

func mine(mode os.FileMode) ownership {
	return ownership{mode: mode, uid: os.Geteuid(), gid: os.Getegid()}
}

// give does what the umask, or a directory with a default ACL or the setgid bit,
// could have spoiled.
func (o ownership) give(f *os.File) error {
	return errors.Join(f.Chown(o.uid, o.gid), f.Chmod(o.mode))
}

// create makes a file that must not be there yet. Nothing is left of it when that
// fails.
func (d directory) create(name string, content []byte, to ownership) (err error) {
	f, err := d.OpenFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}

	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = d.Unlink(name)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}

	return to.give(f)
}

// replace makes a file that appears with its whole content, in place of one that
// may be there.
func (d directory) replace(name string, content []byte, to ownership) error {
	temporary := "." + name + "." + randtext.Alphanumeric(suffixLength)
	if err := d.create(temporary, content, to); err != nil {
		return err
	}

	if err := d.Rename(temporary, d.Dir, name); err != nil {
		return errors.Join(err, d.Unlink(temporary))
	}

	return nil
}

// openOwnDirectory opens a directory of ours that we may have no right to read.
func (d directory) openOwnDirectory(name string) (directory, error) {
	sub, err := d.OpenOwnDir(name)
	return directory{sub}, err
}

// createDirectory makes a directory that must not be there yet.
func (d directory) createDirectory(name string, to ownership) error {
	if err := d.mkdir(name); err != nil {
		return err
	}

	sub, err := d.openOwnDirectory(name)
	if err != nil {
		return err
	}

	return errors.Join(to.give(sub.File), sub.Close())
}
