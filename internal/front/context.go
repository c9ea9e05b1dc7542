package front

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
)

// requestContext is the context of one request: canceled when its client has left, and when it is over. It implements
// AfterFunc as package context asks for, so that whoever waits for its end needs no goroutine.
type requestContext struct {
	conn *conn
	// url is the request's, here so that both are one piece of memory.
	url url.URL

	mu   sync.Mutex
	err  error
	done chan struct{} // nil means that Done was not called
	// after are the functions to call at the end, by the order of AfterFunc; nil is one that was stopped. The memory of
	// the first ones is the context's.
	after   []func()
	ofAfter [2]func()
}

// Deadline returns none.
func (*requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is closed at the end.
func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}

	return c.done
}

// Err is context.Canceled after the end.
func (c *requestContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.err
}

// Value returns the values that net/http's requests have, and that the head was checked by package httphead.
func (c *requestContext) Value(key any) any {
	switch key {
	case http.LocalAddrContextKey:
		return c.conn.local
	case pace.ConnKey:
		return pace.Unsent(c.conn.unsent)
	}

	return c.conn.server.base.Value(key)
}

// AfterFunc calls f in a goroutine of its own at the end. stop reports whether it was in time to prevent that.
func (c *requestContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.err != nil {
		go f()
		return func() bool { return false }
	}

	if c.after == nil {
		c.after = c.ofAfter[:0]
	}

	c.after = append(c.after, f)
	i := len(c.after) - 1

	return func() bool { return c.stop(i) }
}

func (c *requestContext) stop(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.err != nil || c.after[i] == nil {
		return false
	}

	c.after[i] = nil

	return true
}

// cancel ends the context.
func (c *requestContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.err != nil {
		return
	}

	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}

	for _, f := range c.after {
		if f != nil {
			go f()
		}
	}

	c.after = nil
}
