package spawner

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

var errRights = errors.New("the kernel did not take over the user's rights")

// withRights runs f, which looks at files, with the rights that a process of
// id has, so that nobody makes root read anything for them. f must not start
// goroutines.
func (id *identity) withRights(f func() error) error {
	if !id.switched {
		return f()
	}
	result := make(chan error)
	go func() {
		// Rights belong to threads. One that does not get its own back ends
		// with this goroutine.
		runtime.LockOSThread()
		giveBack, err := id.takeRights()
		if err != nil {
			result <- err
			return
		}
		err = f()
		if giveBack() {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

func (id *identity) takeRights() (giveBack func() bool, err error) {
	// Those of x/sys/unix change the calling thread only.
	before, err := unix.Getgroups()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRights, err)
	}
	uid, gid := unix.Geteuid(), unix.Getegid()
	if err := unix.Setgroups(id.groups); err != nil {
		return nil, fmt.Errorf("%w: %w", errRights, err)
	}
	if !setFileSystemIDs(id.uid, id.gid) {
		return nil, errRights
	}
	return func() bool { return setFileSystemIDs(uid, gid) && unix.Setgroups(before) == nil }, nil
}

// setFileSystemIDs makes the kernel forget root's rights on files together
// with the user id, and gives them back with it.
func setFileSystemIDs(uid, gid int) bool {
	const ask = -1 // changes nothing and returns what is
	if err := errors.Join(unix.Setfsgid(gid), unix.Setfsuid(uid)); err != nil {
		return false
	}
	gotGID, gidErr := unix.SetfsgidRetGid(ask)
	gotUID, uidErr := unix.SetfsuidRetUid(ask)
	return gidErr == nil && uidErr == nil && gotGID == gid && gotUID == uid
}
