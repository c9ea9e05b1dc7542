package testapp

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func sessionID() int {
	sid, err := unix.Getsid(0)
	check(err)
	return sid
}

// inheritedFDs are the descriptors without close-on-exec, which this program
// itself sets on all that it opens.
func inheritedFDs() (fds map[string]string, nonBlocking []int) {
	fds = map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	check(err)

	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		check(err)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}

		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		check(err)
		fds[e.Name()] = target
		if status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil && status&unix.O_NONBLOCK != 0 {
			nonBlocking = append(nonBlocking, fd)
		}
	}

	return fds, nonBlocking
}

func dup(from, to int) error { return unix.Dup3(from, to, 0) }
