package hooks

import (
	"errors"

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
