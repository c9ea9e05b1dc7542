package inherit

import (
	"math"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// CloseFiles keeps every descriptor above stderr from programs that are started from now on, as far as they are not
// given to them.
func CloseFiles() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // older systems cannot
}

// startUnblocked starts cmd with no signal blocked, whatever this program was started with.
func startUnblocked(cmd *exec.Cmd) error {
	// The signal mask is that of the thread, and the child begins with the mask of the thread that forks.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, before unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &before); err != nil {
		return os.NewSyscallError("rt_sigprocmask", err)
	}

	err := cmd.Start()
	if e := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err == nil && e != nil {
		err = os.NewSyscallError("rt_sigprocmask", e)
	}

	return err
}
