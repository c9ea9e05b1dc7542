package rawsock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poll returns what of poll(2)'s events a socket has now, and POLLHUP, POLLERR and POLLNVAL also where they are not
// asked for.
func Poll(fd uintptr, events int16) int16 {
	fds := unix.PollFd{Fd: int32(fd), Events: events} //nolint:gosec // G115: a descriptor
	for {
		var none unix.Timespec
		//nolint:gosec // G103: the one way to call it
		_, _, err := syscall.RawSyscall6(unix.SYS_PPOLL,
			uintptr(unsafe.Pointer(&fds)),
			1,
			uintptr(unsafe.Pointer(&none)),
			0, 0, 0)
		if err != syscall.EINTR {
			// Of the other errors, none is about one descriptor.
			return fds.Revents
		}
	}
}
