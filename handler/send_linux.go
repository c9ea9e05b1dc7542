package handler

import (
	"errors"
	"net"
	"syscall"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// sending writes the head of a request to an application's connection and waits
// for the answer to begin. Reading right after writing would find nothing; and the
// system call that saves is spent on a look whether the connection is still
// silent, as one that was used before has to be. What is there already would not
// end the waiting.
type sending struct {
	head   []byte
	reused bool
	sent   int
	begun  bool
	waits  bool
	err    error
	peek   [1]byte
	// step is the method, bound once.
	step func(fd uintptr) bool
}

// errNotSilent: an application has closed a connection that nobody used, or said
// something on it that nobody had asked.
var errNotSilent = errors.New("the connection was closed, or not silent, while nobody used it")

// send returns how much of head was written, when the answer has begun.
func (s *sending) send(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	s.waits = true
	return s.run(conn, head, reused)
}

// begin returns how much of head was written, and waits for nothing: a body follows.
func (s *sending) begin(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	s.waits = false
	return s.run(conn, head, reused)
}

func (s *sending) run(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return conn.Write(head)
	}

	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}

	if s.step == nil {
		s.step = s.next
	}

	s.head, s.reused, s.sent, s.begun, s.err = head, reused, 0, false, nil

	// An error of waiting shows again when the answer is read.
	if err := raw.Read(s.step); err != nil && !s.begun {
		return 0, err
	}

	s.head = nil
	if s.err == nil && s.sent < len(head) {
		n, err := conn.Write(head[s.sent:])
		return s.sent + n, err
	}

	return s.sent, s.err
}

// next is called before the waiting and after it; true ends it.
func (s *sending) next(fd uintptr) (done bool) {
	if s.begun {
		return true
	}

	s.begun = true
	_, errno := rawsock.Receive(fd, s.peek[:], syscall.MSG_PEEK)
	silent := errno == syscall.EAGAIN
	if !silent && s.reused {
		s.err = errNotSilent
		return true
	}

	if s.sent, errno = rawsock.Send(fd, s.head); errno != 0 && errno != syscall.EAGAIN {
		s.err = errno
		return true
	}

	return !s.waits || !silent || s.sent < len(s.head)
}
