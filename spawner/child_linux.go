package spawner

import (
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// exitWaiter waits for the end of a process without reaping it.
type exitWaiter struct{ pidfd int }

func newExitWaiter(cmd *exec.Cmd) *exitWaiter {
	w := &exitWaiter{pidfd: -1}
	cmd.SysProcAttr.PidFD = &w.pidfd
	return w
}

// untilExit returns when the process has ended. It reports whether the process
// is a zombie now; else nothing is known.
func (w *exitWaiter) untilExit(pid int) (zombie bool) {
	if w.pidfd >= 0 && w.poll() {
		return true
	}

	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// poll leaves the waiting to the runtime's poller, so that it takes no thread.
func (w *exitWaiter) poll() (zombie bool) {
	// NewFile leaves a descriptor to the poller only if it does not block.
	nonblocking := unix.SetNonblock(w.pidfd, true) == nil
	f := os.NewFile(uintptr(w.pidfd), "pidfd")
	defer func() { _ = f.Close() }()
	raw, err := f.SyscallConn()
	if err != nil || !nonblocking {
		return false
	}

	err = raw.Read(func(fd uintptr) bool {
		for {
			var info unix.Siginfo

			err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			// waitid(2): it lives. EAGAIN is for descriptors that do not block (Linux 5.10), zeros for WNOHANG.
			case errors.Is(err, unix.EAGAIN), err == nil && info.Signo == 0:
				return false
			}

			zombie = err == nil

			return true
		}
	})

	return err == nil && zombie
}
