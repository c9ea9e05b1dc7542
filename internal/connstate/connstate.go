// Package connstate counts an HTTP server's connections by what they do. When
// net/http's Shutdown has begun, it drops requests that have just been read, and those
// of clients that have connected and not been heard yet: who calls WaitQuiet before
// loses none.
package connstate

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// firstRequestTime is how long a connection that was accepted may take for its first
// request when the server stops.
const firstRequestTime = 3 * time.Second

// Connections are those of a server. They are safe for concurrent use.
type Connections struct {
	mu     sync.Mutex
	states map[net.Conn]http.ConnState
	// waiting counts those that have a request, or may have one that was not read
	// yet.
	waiting int
	quiet   chan struct{} // closed when there are none; nil if no call waits
}

// New returns no connections.
func New() *Connections {
	return &Connections{states: map[net.Conn]http.ConnState{}}
}

func isWaiting(s http.ConnState) bool { return s == http.StateNew || s == http.StateActive }

// Track is an http.Server's ConnState.
func (c *Connections) Track(conn net.Conn, to http.ConnState) {
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

// WaitQuiet waits until no connection has a request, but for three seconds at most,
// and not when ctx has ended: requests that last are Shutdown's to wait for. No more
// connections may come, and there must be one call of it only.
func (c *Connections) WaitQuiet(ctx context.Context) {
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
