package scgi

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const maxSendfile = 1 << 20

// sendFile sends up to n bytes of f from its position on, and fewer, or none, where
// the system cannot: the rest is to be copied.
func sendFile(c net.Conn, f syscall.Conn, n int64) (sent int64, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, nil
	}

	to, err := s.SyscallConn()
	if err != nil {
		return 0, nil // copying will tell
	}

	from, err := f.SyscallConn()
	if err != nil {
		return 0, nil // copying will tell
	}

	closed := from.Control(func(in uintptr) {
		for sent < n && err == nil {
			var did int
			did, err = sendPiece(to, in, min(n-sent, maxSendfile))
			sent += int64(did)
			if did == 0 {
				return
			}
		}
	})

	return sent, errors.Join(err, closed)
}

// sendPiece returns 0 at the end of the file, and where it has to be copied.
func sendPiece(to syscall.RawConn, in uintptr, n int64) (did int, err error) {
	waiting := to.Write(func(out uintptr) bool {
		for {
			did, err = unix.Sendfile(int(out), int(in), nil, int(n))
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case waiting != nil:
		return 0, waiting
	case err == nil:
		return did, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		// By sendfile(2), the socket or the file system cannot do it.
		return 0, nil
	}

	return 0, os.NewSyscallError("sendfile", err)
}
