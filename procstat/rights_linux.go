package procstat

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// asOwner runs f, which reads files of a process that the kernel shows only to its user. If root is
// not allowed to read them, without CAP_SYS_PTRACE, it runs f once more as that user.
func asOwner(proc procfs.Proc, f func() error) error {
	err := f()
	if !errors.Is(err, fs.ErrPermission) || os.Geteuid() != 0 {
		return err
	}

	status, statusErr := parse(proc.NewStatus)
	if statusErr != nil || status.TGID == 0 {
		return err
	}

	uid, gid := int(status.UIDs[1]), int(status.GIDs[1]) //nolint:gosec // G115: they have 32 bits

	return asUser(uid, gid, f)
}

// asUser runs f on a thread with the user's rights on files. f must not start goroutines.
func asUser(uid, gid int, f func() error) error {
	runtime.LockOSThread()
	err := errors.Join(unix.Setfsgid(gid), unix.Setfsuid(uid))
	if err == nil {
		err = f()
	}

	const ask = -1 // changes nothing and returns the present ID
	_ = errors.Join(unix.Setfsuid(0), unix.Setfsgid(os.Getegid()))
	nowUID, uidErr := unix.SetfsuidRetUid(ask)
	nowGID, gidErr := unix.SetfsgidRetGid(ask)
	if uidErr == nil && gidErr == nil && nowUID == 0 && nowGID == os.Getegid() {
		runtime.UnlockOSThread()
	}

	// A thread that did not get its rights back stays locked to this goroutine, and ends with it.
	return err
}
