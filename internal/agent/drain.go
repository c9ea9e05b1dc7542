package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// emptyQueue is how long nobody may come until the queue of connections
	// counts as empty, and acceptTime how long it is emptied at most.
	emptyQueue = 2 * time.Millisecond
	acceptTime = 250 * time.Millisecond
	// firstRequestTime is how long a connection that was accepted may take for
	// its first request when the server stops.
	firstRequestTime = 3 * time.Second
)

// deadlineListener is what TCP and Unix listeners are.
type deadlineListener interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// drainingListener ends after it has accepted whoever had connected: closing a
// listener resets those who wait in its queue.
type drainingListener struct {
	deadlineListener
	drainUntil atomic.Pointer[time.Time]
}

// drain lets Accept end when the queue is empty.
func (l *drainingListener) drain() {
	until := time.Now().Add(acceptTime)
	l.drainUntil.Store(&until)
	// An error means that it is closed already.
	_ = l.SetDeadline(time.Now())
}

func (l *drainingListener) Accept() (net.Conn, error) {
	conn, err := l.deadlineListener.Accept()
	for woken := false; ; woken = true {
		until := l.drainUntil.Load()
		if until == nil || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
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

// connections counts those of the server that have a request, or may have one
// that was not read yet: net/http's Shutdown drops them.
type connections struct {
	mu      sync.Mutex
	states  map[net.Conn]http.ConnState
	waiting int
	quiet   chan struct{} // closed when there are none, if somebody waits
}

func newConnections() *connections {
	return &connections{states: map[net.Conn]http.ConnState{}}
}

func isWaiting(s http.ConnState) bool { return s == http.StateNew || s == http.StateActive }

// track is an http.Server's ConnState.
func (c *connections) track(conn net.Conn, to http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.states[conn]; known && isWaiting(before) {
		c.waiting--
	}
	c.states[conn] = to
	switch to {
	case http.StateNew, http.StateActive:
		c.waiting++
	case http.StateHijacked, http.StateClosed:
		delete(c.states, conn)
	case http.StateIdle:
	}
	if c.waiting == 0 && c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// waitQuiet waits until no connection has a request, but not for long: those
// that last are Shutdown's to wait for.
func (c *connections) waitQuiet(ctx context.Context) {
	c.mu.Lock()
	if c.waiting == 0 {
		c.mu.Unlock()
		return
	}
	quiet := make(chan struct{})
	c.quiet = quiet
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, firstRequestTime)
	defer cancel()
	select {
	case <-quiet:
	case <-ctx.Done():
	}
}
