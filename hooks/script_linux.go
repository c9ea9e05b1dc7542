package hooks

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// untilExit returns when the process has ended. It reports whether the process
// is a zombie now; else nothing is known.
func untilExit(pid int) (zombie bool) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// closeOnExec sets the flag on every descriptor above stderr.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // older systems cannot
}
