package front

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// leaveWatch notices which clients have closed their connections, or one direction of them. A connection is registered
// once, edge-triggered, so that a request costs no system call.
type leaveWatch struct {
	fd   int
	file *os.File // of fd; nil means that it does not work

	mu    sync.Mutex
	conns map[int32]*conn // by their descriptors
	// count numbers the connections, since descriptors are used again.
	count int32
}

// open begins to watch.
func (l *leaveWatch) open() (err error) {
	if l.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("cannot make an epoll instance: %w", err)
	}

	// By this, the runtime's poller waits for it, and no thread has to.
	if err := unix.SetNonblock(l.fd, true); err != nil {
		_ = unix.Close(l.fd)
		return fmt.Errorf("cannot set O_NONBLOCK of an epoll instance: %w", err)
	}

	l.file = os.NewFile(uintptr(l.fd), "epoll")
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}

	l.conns = map[int32]*conn{}
	go l.run(raw)

	return nil
}

func (l *leaveWatch) works() bool { return l.file != nil }

// close ends the watch.
func (l *leaveWatch) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

func (l *leaveWatch) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 64)

	// Its error is that the watch was closed.
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			if err == unix.EINTR {
				continue
			}

			if n <= 0 {
				return err != nil
			}

			for i := range n {
				l.notice(&events[i])
			}
		}
	})
}

func (l *leaveWatch) notice(e *unix.EpollEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()

	// A connection is removed before its descriptor is closed.
	if c := l.conns[e.Fd]; c != nil && c.watch == e.Pad {
		c.noticeEnd(uintptr(e.Fd)) //nolint:gosec // G115: it is a descriptor
	}
}

// add watches a connection until remove.
func (l *leaveWatch) add(c *conn, fd uintptr) error {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.count++
	event := unix.EpollEvent{
		Events: unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(fd), //nolint:gosec // G115: descriptors are small
		Pad:    l.count,
	}
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, int(fd), &event); err != nil {
		return err
	}

	c.watch, c.watchedFD = event.Pad, event.Fd
	l.conns[event.Fd] = c

	return nil
}

// remove ends the watch over a connection, whose descriptor is still open. It is taken out of the epoll instance only
// if it lives on: closing it does that, too.
func (l *leaveWatch) remove(c *conn, livesOn bool) {
	if c.watch == 0 {
		return
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	// Others may have closed it, and its descriptor be that of another connection.
	if l.conns[c.watchedFD] != c {
		return
	}

	delete(l.conns, c.watchedFD)
	if livesOn {
		_ = unix.EpollCtl(l.fd, unix.EPOLL_CTL_DEL, int(c.watchedFD), nil)
	}
}

// hasLeft reports whether a client that has closed its connection, or one direction of it, has nothing more to say.
func hasLeft(fd uintptr) bool {
	var b [1]byte
	n, errno := rawsock.Receive(fd, b[:], unix.MSG_PEEK)

	return n == 0 && errno != syscall.EAGAIN
}
