// Package pipenet is a network without a system: connections of [net.Pipe],
// which work in the bubbles of testing/synctest.
package pipenet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts the connections that Connect gives it.
type Listener struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewListener returns a Listener that says it listens on addr.
func NewListener(addr net.Addr) *Listener {
	return &Listener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Connect waits until c is accepted. It fails with net.ErrClosed when the
// listener is closed, and with the cause of ctx when that ends first.
func (l *Listener) Connect(ctx context.Context, c net.Conn) error {
	select {
	case l.conns <- c:
		return nil
	case <-l.done:
		return net.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Accept returns the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Connect.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns the address that NewListener got.
func (l *Listener) Addr() net.Addr { return l.addr }
