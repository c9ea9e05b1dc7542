package rawsock

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Unsent returns how many bytes of what was written to a connection the other end has not taken yet. known is false for
// a connection that is none of the kernel's, and has none below.
func Unsent(c net.Conn) (bytes int64, known bool) {
	for {
		if kernels, ok := c.(syscall.Conn); ok {
			return unsent(kernels)
		}

		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return 0, false
		}

		c = below.NetConn()
	}
}

// BoundUnsent has the kernel give up a TCP connection that is about to be closed if the other end takes nothing of what
// is still to be sent for that long: it would keep that for minutes.
func BoundUnsent(c net.Conn, limit time.Duration) {
	t := tcp(c)
	if left, known := Unsent(c); t == nil || !known || left == 0 {
		return
	}

	raw, err := t.SyscallConn()
	if err != nil {
		// Closing tells as well.
		return
	}

	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
}

// Drop makes Close reset a TCP connection whose other end does not read, and writes fail at once.
func Drop(c net.Conn) {
	for {
		switch own := c.(type) {
		case *tcpConn:
			own.stalled.Store(true)
		case *net.TCPConn:
			// If it is closed already, nothing is left to do.
			_ = own.SetLinger(0)
			return
		}

		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}

		c = below.NetConn()
	}
}

// tcp returns the innermost connection of c if it is one of TCP, else nil.
func tcp(c net.Conn) *net.TCPConn {
	for {
		if t, ok := c.(*net.TCPConn); ok {
			return t
		}

		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}

		c = below.NetConn()
	}
}

func unsent(c syscall.Conn) (bytes int64, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}

	controlErr := raw.Control(func(fd uintptr) {
		n, ioctlErr := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		bytes, err = int64(n), ioctlErr
	})

	return bytes, err == nil && controlErr == nil
}

type tcpConn struct {
	*net.TCPConn
	socket

	// stalled reports whether Close resets the connection. What is written before, such as TLS's last alert, would wait
	// for a client that does not read.
	stalled atomic.Bool
}

var errStalled = &net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded}

func (c *tcpConn) Read(b []byte) (int, error) { return c.read(b, c.TCPConn) }

func (c *tcpConn) Write(b []byte) (int, error) {
	if c.stalled.Load() {
		return 0, errStalled
	}

	n, err := c.write(b, c.TCPConn)
	c.resetIfStalled(err)

	return n, err
}

// ReadFrom lets the kernel copy a file.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	if c.stalled.Load() {
		return 0, errStalled
	}

	n, err := c.TCPConn.ReadFrom(r)
	c.resetIfStalled(err)

	return n, err
}

// resetIfStalled makes Close reset the connection if a write has failed since the other end does not read: the kernel
// would keep what it has still to send for minutes. net/http's server closes a connection where that fails, so that
// it would be too late to ask for it.
func (c *tcpConn) resetIfStalled(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.hasRoom() {
		Drop(c)
	}
}

// hasRoom reports whether the kernel takes more to send.
func (s *socket) hasRoom() (yes bool) {
	_ = s.raw.Control(func(fd uintptr) { yes = Poll(fd, unix.POLLOUT) != 0 })

	return yes
}

func (c *tcpConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// NetConn returns the connection that is read and written by this package.
func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }

type unixConn struct {
	*net.UnixConn
	socket
}

func (c *unixConn) Read(b []byte) (int, error) { return c.read(b, c.UnixConn) }

func (c *unixConn) Write(b []byte) (int, error) { return c.write(b, c.UnixConn) }

func (c *unixConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// NetConn returns the connection that is read and written by this package.
func (c *unixConn) NetConn() net.Conn { return c.UnixConn }

func wrap(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}

	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}

	switch c := c.(type) {
	case *net.TCPConn:
		t := &tcpConn{TCPConn: c}
		t.init(raw)
		return t
	case *net.UnixConn:
		u := &unixConn{UnixConn: c}
		u.init(raw)
		return u
	}

	return c
}

// socket reads and writes. Both wait as package net's connections do, by the
// same poller and for the same deadlines.
type socket struct {
	raw syscall.RawConn
	in  half
	out half
}

// half is one direction, and what is under way in it. Its step is bound once.
type half struct {
	mu   sync.Mutex
	step func(fd uintptr) (done bool)
	buf  []byte
	n    int
	err  error
}

func (s *socket) init(raw syscall.RawConn) {
	s.raw = raw
	s.in.step = s.in.receive
	s.out.step = s.out.send
}

func (s *socket) read(b []byte, fallback io.Reader) (int, error) {
	if len(b) == 0 {
		return fallback.Read(b)
	}

	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	s.in.begin(b)
	err := s.raw.Read(s.in.step)
	n, err := s.in.end(err)
	if n == 0 && err == nil {
		err = io.EOF
	}

	return n, err
}

func (s *socket) write(b []byte, fallback io.Writer) (int, error) {
	if len(b) == 0 || len(b) > MaxSend {
		return fallback.Write(b)
	}

	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.begin(b)

	return s.out.end(s.raw.Write(s.out.step))
}

func (h *half) begin(b []byte) { h.buf, h.n, h.err = b, 0, nil }

// end is called with what came of the waiting.
func (h *half) end(err error) (int, error) {
	// The memory is the caller's again.
	h.buf = nil
	if err == nil {
		err = h.err
	}

	return h.n, err
}

func (h *half) receive(fd uintptr) (done bool) {
	n, err := Receive(fd, h.buf, 0)
	if err == syscall.EAGAIN {
		// The poller calls again when there is something to read.
		return false
	}

	h.n = n
	h.fail("read", err)

	return true
}

func (h *half) send(fd uintptr) (done bool) {
	n, err := Send(fd, h.buf)
	h.n += n
	h.buf = h.buf[n:]
	if err == syscall.EAGAIN {
		// The poller calls again when there is room.
		return false
	}

	h.fail("write", err)

	return err != 0 || len(h.buf) == 0
}

func (h *half) fail(op string, err syscall.Errno) {
	if err != 0 {
		h.err = &net.OpError{Op: op, Net: "socket", Err: err}
	}
}
