package spawner

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

var errRights = errors.New("the kernel did not take over the user's rights")

// withRights runs f, which looks at files, with the rights that a process of
// id has, so that no user makes root read anything for them. f must not start
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

// overrides reports whether this program is root and may write to files of others. A core
// may not: it becomes the user for the call.
var overrides = sync.OnceValue(func() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // the kernel fills in both
	err := unix.Capget(&header, &data[0])

	return err == nil && data[0].Effective&(1<<unix.CAP_DAC_OVERRIDE) != 0
})

// asFileUser runs f, which writes to a file of the user uid, with that user's rights if
// this program has them not itself. It costs less than withRights: groups stay. f must not
// start goroutines.
func asFileUser(uid int, f func() error) error {
	if uid == 0 || unix.Geteuid() != 0 || overrides() {
		return f()
	}

	runtime.LockOSThread()
	if err := unix.Setfsuid(uid); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("%w: %w", errRights, err)
	}

	err := f()

	const ask = -1 // changes nothing and returns what is
	_, backErr := unix.SetfsuidRetUid(0)
	if now, askErr := unix.SetfsuidRetUid(ask); backErr == nil && askErr == nil && now == 0 {
		runtime.UnlockOSThread()
	}

	// A thread that did not get its rights back stays with this goroutine, and ends with it.
	return err
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

	// setfsuid(2) reports no failure, so the only proof is to ask for what is in effect.
	gotGID, gidErr := unix.SetfsgidRetGid(ask)
	gotUID, uidErr := unix.SetfsuidRetUid(ask)

	return gidErr == nil && uidErr == nil && gotGID == gid && gotUID == uid
}
