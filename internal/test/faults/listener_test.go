//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// trickListener is the application's socket, with a backlog as small as can be.
type trickListener struct {
	net.Listener
	path string

	// gated gets one for each connection that has to wait in Accept.
	gated chan struct{}

	mu   sync.Mutex
	open chan struct{} // closed: connections are accepted
	fill []int
}

func newTrickListener(path string) *trickListener {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(err)
	check(unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	check(unix.Listen(fd, 1))
	f := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(f)
	check(err)
	check(f.Close())
	open := make(chan struct{})
	close(open)

	return &trickListener{
		Listener: l,
		path:     path,
		open:     open,
		gated:    make(chan struct{}, 1),
	}
}

func (l *trickListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()

	select {
	case <-open:
	default:
		l.gated <- struct{}{}
		<-open
	}

	return conn, err
}

func (l *trickListener) acceptOnly() {
	var kept []net.Conn
	for {
		conn, err := l.Listener.Accept()
		check(err)
		kept = append(kept, conn)
		logf("accepted %d.", len(kept))
	}
}

func (l *trickListener) trick(name string) {
	switch name {
	case "close":
		check(l.Close())
	case "unlink":
		check(os.Remove(l.path))
	case "clog":
		l.clog()
	default:
		check(fmt.Errorf("no trick %q", name))
	}
}

// clog accepts no more, and connects until the backlog is full.
func (l *trickListener) clog() {
	l.mu.Lock()
	l.open = make(chan struct{})
	l.mu.Unlock()

	// The connection that Accept waits for is not one of the backlog.
	for connected := l.connect(); connected; connected = l.connect() {
		if l.filled() == 1 {
			<-l.gated
		}
	}
}

// connect is false when the backlog is full.
func (l *trickListener) connect() bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(err)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: l.path})
	if errors.Is(err, unix.EAGAIN) {
		check(unix.Close(fd))
		return false
	}

	check(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill = append(l.fill, fd)

	return true
}

// unclog makes room and accepts again.
func (l *trickListener) unclog() {
	l.mu.Lock()
	defer l.mu.Unlock()

	for _, fd := range l.fill {
		check(unix.Close(fd))
	}

	l.fill = nil
	close(l.open)
}

func (l *trickListener) filled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fill)
}
