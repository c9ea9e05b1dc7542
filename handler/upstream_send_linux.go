package handler

import (
	"errors"
	"net"
	"syscall"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// headWriter writes the head of a request to an application's connection and waits for the response to begin. Reading
// right after writing would find nothing; the system call that this saves is spent on a look whether the connection is
// still silent, as one that was used before has to be. What is there already would not end the waiting.
type headWriter struct {
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

// errNotSilent means that an application has closed a connection between two requests, or has written to it.
var errNotSilent = errors.New("the application closed the idle connection, or wrote to it without a request")

// writeAndWait returns how much of head was written, once the response has begun.
func (w *headWriter) writeAndWait(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	w.waits = true
	return w.run(conn, head, reused)
}

// write returns how much of head was written, and does not wait: a body follows.
func (w *headWriter) write(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	w.waits = false
	return w.run(conn, head, reused)
}

func (w *headWriter) run(conn net.Conn, head []byte, reused bool) (sent int, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return conn.Write(head)
	}

	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}

	if w.step == nil {
		w.step = w.next
	}

	w.head, w.reused, w.sent, w.begun, w.err = head, reused, 0, false, nil

	// An error of waiting shows again when the response is read.
	if err := raw.Read(w.step); err != nil && !w.begun {
		return 0, err
	}

	w.head = nil
	if w.err == nil && w.sent < len(head) {
		n, err := conn.Write(head[w.sent:])
		return w.sent + n, err
	}

	return w.sent, w.err
}

// next is called before the waiting and after it, and reports whether it ends.
func (w *headWriter) next(fd uintptr) (done bool) {
	if w.begun {
		return true
	}

	w.begun = true
	_, errno := rawsock.Receive(fd, w.peek[:], syscall.MSG_PEEK)
	silent := errno == syscall.EAGAIN
	if !silent && w.reused {
		w.err = errNotSilent
		return true
	}

	if w.sent, errno = rawsock.Send(fd, w.head); errno != 0 && errno != syscall.EAGAIN {
		w.err = errno
		return true
	}

	return !w.waits || !silent || w.sent < len(w.head)
}
