// Package front is a server of HTTP/1.1 for requests that are simple, in front of net/http's for all others.
//
// Most requests are short: a head that comes in one piece, no body or a small one, and a response that is written once.
// For these, a [Server] takes fewer steps than net/http: it reads a head where package httphead has found it to be
// strict, makes an *http.Request of it, and calls the same handler. A connection costs no buffer while it waits for its
// client, a client that leaves is noticed by one epoll instance for all of them, and the next request is awaited by the
// system call that wrote the response before it.
//
// Whatever is not simple goes to net/http, the connection with the bytes that have come, and stays there: a head that
// is refused, HTTP/2, chunked bodies and large ones, upgrades, HTTP/1.0, Expect. So each rule is in one place, and each
// refusal looks the same.
package front

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// Server serves the connections of listeners. Its fields must not change once it serves; its methods are safe for
// concurrent use.
type Server struct {
	// HTTP serves what is not simple. Its IdleTimeout and ReadHeaderTimeout are the front's, too.
	HTTP *http.Server
	// Guard checks what HTTP gets. Its Limits are the front's, too.
	Guard *headguard.Guard
	// Handler gets the simple requests. Its http.ResponseWriter implements everything that of net/http does, but
	// what Hijack returns can only be closed, with SetLinger before.
	Handler http.Handler
	// Follow returns what receives the states of a connection, as http.Server's ConnState does; nil means nothing does.
	Follow func(net.Conn) func(http.ConnState)
	// ErrorLog gets panics of Handler.
	ErrorLog *log.Logger

	leaves leaveWatch
	// base is what the contexts of requests get their values from.
	base context.Context
	once sync.Once

	// draining reports whether connections end with their next response.
	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*conn]struct{}
	// handovers are the listeners of HTTP.
	handovers []*handover
	// empty is closed when there are no connections; nil means that no call waits for that.
	empty chan struct{}
}

const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Serve serves the connections of l until that fails, and returns its error. It closes l. The connections that HTTP has
// got are its own, until its Shutdown or Close.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()

	s.once.Do(s.prepare)

	rest := newHandover(l.Addr())
	s.mu.Lock()
	s.handovers = append(s.handovers, rest)
	s.mu.Unlock()

	// Its error is that it was shut down.
	go func() { _ = s.HTTP.Serve(rest) }()

	var pause time.Duration
	for {
		accepted, err := l.Accept()
		if err == nil {
			pause = 0
			s.start(accepted, rest)
			continue
		}

		e, ok := errors.AsType[net.Error](err)
		if !ok || !e.Temporary() { //nolint:staticcheck // SA1019: well-defined here
			return err
		}

		// As where there are too many open files.
		pause = min(max(minAcceptPause, 2*pause), maxAcceptPause)
		// In net/http's words, which logs look for.
		s.ErrorLog.Printf("http: Accept error: %v; retrying in %v", err, pause)
		<-time.After(pause)
	}
}

func (s *Server) prepare() {
	s.conns = map[*conn]struct{}{}
	s.base = httphead.WithStrict(context.WithValue(context.Background(), http.ServerContextKey, s.HTTP), s)
	if err := s.leaves.open(); err != nil {
		s.ErrorLog.Printf("cannot notice clients that leave: %v; net/http serves all requests", err)
	}
}

// start serves a connection, or leaves it to HTTP where it is none of the kernel's.
func (s *Server) start(accepted net.Conn, rest *handover) {
	c := s.newConn(accepted, rest)
	if c == nil || !s.leaves.works() {
		rest.give(s.Guard.Conn(rawsock.Conn(accepted), nil))
		return
	}

	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()

	go c.serve()
}

// remove forgets a connection that has ended, or is HTTP's.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.conns, c)
	if s.empty != nil && len(s.conns) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

const (
	// firstRequestTime is how long a connection may take for its first request when the server ends, and lastHeadTime
	// how long it may take for the rest of one that has begun.
	firstRequestTime = 3 * time.Second
	lastHeadTime     = 5 * time.Second
)

// Shutdown ends connections as soon as they have no request: those that have not had one yet get three seconds for it.
// No listener serves any more, and HTTP still does. When ctx ends first it returns its error, and the connections stay.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)

	s.mu.Lock()
	for c := range s.conns {
		c.hurry()
	}

	if len(s.conns) == 0 {
		s.mu.Unlock()
		s.leaves.close()

		return nil
	}

	if s.empty == nil {
		s.empty = make(chan struct{})
	}

	empty := s.empty
	s.mu.Unlock()

	select {
	case <-empty:
		s.leaves.close()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all connections: the contexts of their requests are canceled, and nothing more can be written. It does not
// wait for the handlers.
func (s *Server) Close() error {
	s.draining.Store(true)

	s.mu.Lock()
	defer s.mu.Unlock()

	for c := range s.conns {
		c.cut()
	}

	return nil
}

// handover is a listener whose connections a Server has accepted.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// give passes a connection on, or closes it if the server has ended.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

// Accept returns the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, &net.OpError{Op: "accept", Net: h.addr.Network(), Addr: h.addr, Err: net.ErrClosed}
	}
}

// Addr is the address of the listener that accepted the connections.
func (h *handover) Addr() net.Addr { return h.addr }

// Close ends Accept.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}
