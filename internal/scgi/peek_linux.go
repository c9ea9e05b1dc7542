package scgi

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// rawConn is nil for a connection that is no socket.
func rawConn(c net.Conn) syscall.RawConn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}

	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}

	return raw
}

// peek waits for bytes, or the end, and leaves them in the socket.
func peek(raw syscall.RawConn, p []byte) (n int, err error) {
	var errno syscall.Errno

	waitErr := raw.Read(func(fd uintptr) bool {
		n, errno = rawsock.Receive(fd, p, unix.MSG_PEEK)
		return errno != unix.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case errno != 0:
		return 0, os.NewSyscallError("recvfrom", errno)
	case n == 0:
		return 0, io.EOF
	}

	return n, nil
}

// waitGone returns nil when the other side has closed the connection. On a Unix
// socket that is not the same as to have no more to send.
func waitGone(c net.Conn, raw syscall.RawConn) error {
	gone := int16(unix.POLLHUP | unix.POLLERR)
	if a := c.LocalAddr(); a == nil || a.Network() != "unix" {
		gone |= unix.POLLRDHUP
	}

	return raw.Read(func(fd uintptr) bool { return rawsock.Poll(fd, gone)&gone != 0 })
}
