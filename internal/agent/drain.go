package agent

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// emptyQueue is the time without a connection after which the queue of connections
	// counts as empty, and acceptTime how long it is emptied at most.
	emptyQueue = 2 * time.Millisecond
	acceptTime = 250 * time.Millisecond
)

// deadlineListener is what TCP and Unix listeners are.
type deadlineListener interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// drainingListener can end after it has accepted whoever had connected: closing a
// listener that no other process has resets those that wait in its queue.
type drainingListener struct {
	deadlineListener
	// name is that of the socket, httpFile or httpsFile.
	name       string
	drainUntil atomic.Pointer[time.Time]
}

// drain lets Accept end when the queue is empty.
func (l *drainingListener) drain() { l.endWithin(acceptTime) }

// leave lets Accept end, and leaves the queue to another server.
func (l *drainingListener) leave() { l.endWithin(0) }

func (l *drainingListener) endWithin(d time.Duration) {
	until := time.Now().Add(d)
	l.drainUntil.Store(&until)

	// An error means that it is closed already.
	_ = l.SetDeadline(time.Now())
}

func (l *drainingListener) Accept() (net.Conn, error) {
	conn, err := l.deadlineListener.Accept()
	// The deadline of endWithin only wakes Accept, without a look at the queue: one more look has a time of its own.
	for woken := false; ; woken = true {
		until := l.drainUntil.Load()
		if until == nil || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}

		// A connection that was accepted is served, however late it is.
		if err != nil && woken || time.Now().After(*until) {
			if err == nil {
				return conn, nil
			}

			return nil, net.ErrClosed
		}

		_ = l.SetDeadline(time.Now().Add(emptyQueue))
		if err == nil {
			return conn, nil
		}

		conn, err = l.deadlineListener.Accept()
	}
}
