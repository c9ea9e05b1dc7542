package scgi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
)

// Defaults of [Server].
const (
	DefaultReadHeaderTimeout = 10 * time.Second
	DefaultMaxHeaderBytes    = 128 << 10
)

const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Server serves SCGI, as http.Server does HTTP. The zero value with a Handler is
// ready. Its fields must not change once it serves; its methods are safe for
// concurrent use.
type Server struct {
	// Handler gets the requests; nil means http.DefaultServeMux.
	Handler http.Handler
	// ReadHeaderTimeout bounds the time from accepting a connection to the end
	// of its request's head; zero means DefaultReadHeaderTimeout, a negative value no limit.
	ReadHeaderTimeout time.Duration
	// MaxHeaderBytes bounds a request's head; zero means DefaultMaxHeaderBytes. More is
	// refused with 431, as are more than MaxParams parameters.
	MaxHeaderBytes int
	// BaseContext returns the context of the requests of a listener; nil means
	// context.Background.
	BaseContext func(net.Listener) context.Context
	// ConnContext may change the context of a connection's request.
	ConnContext func(ctx context.Context, c net.Conn) context.Context
	// ConnState is called when a connection is new, active, which is from its
	// first byte on, and closed.
	ConnState func(net.Conn, http.ConnState)
	// HeadRead is called with a connection whose request's head has come.
	HeadRead func(net.Conn)
	// Logger gets the requests that are refused, with the reason, and panics
	// of the handler; the zero value discards them.
	Logger logr.Logger

	refused ratelog.Line

	mu        sync.Mutex
	closing   bool // by Shutdown or Close
	closed    bool // by Close
	listeners map[*openListener]struct{}
	conns     map[*conn]struct{}
	quiet     chan struct{} // closed when both are empty; nil if no call waits
}

// openListener is closed once, by any caller.
type openListener struct {
	net.Listener
	close func() error
}

// Serve accepts connections until Shutdown or Close, and then returns
// http.ErrServerClosed, or until l fails. It closes l.
func (s *Server) Serve(l net.Listener) error {
	open := &openListener{Listener: l, close: sync.OnceValue(l.Close)}
	defer func() { _ = open.close() }()
	if !s.add(open) {
		return http.ErrServerClosed
	}

	defer s.remove(open)
	base := context.Background()
	if s.BaseContext != nil {
		if base = s.BaseContext(l); base == nil {
			panic("scgi: BaseContext returned nil")
		}
	}

	var pause time.Duration
	for {
		accepted, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			c := &conn{server: s, conn: accepted}
			s.track(c)
			go c.serve(base)
		case s.isClosing():
			return http.ErrServerClosed
		case !temporary(err):
			return fmt.Errorf("cannot accept connections: %w", err)
		default:
			pause = nextPause(pause)
			s.Logger.Error(err, "cannot accept a connection, will try again", "in", pause)
			<-time.After(pause)
		}
	}
}

// temporary reports whether the next attempt may succeed, as where there were too
// many open files.
func temporary(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Temporary() //nolint:staticcheck // SA1019: of accept, it is well-defined
}

func nextPause(pause time.Duration) time.Duration {
	return min(max(minAcceptPause, 2*pause), maxAcceptPause)
}

// lastHeadTime is how long a connection may take for the rest of its request's head when
// the server shuts down, as with http.Server.
const lastHeadTime = 5 * time.Second

// Shutdown closes the listeners and waits until all connections have had their
// response, also those that have not sent their request yet, which have 5 seconds for
// that, and Serve returns. When ctx ends first it returns its error, and the connections
// stay.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()

	err := s.stop()
	for c := range s.conns {
		if !c.headRead {
			// An error shows when something is read.
			_ = c.conn.SetReadDeadline(s.headDeadline())
		}
	}

	if s.isQuiet() {
		s.mu.Unlock()
		return err
	}

	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}

	quiet := s.quiet
	s.mu.Unlock()

	select {
	case <-quiet:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the listeners and all connections at once. It does not wait for the
// handler, whose requests' contexts it cancels.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.stop()

	s.closed = true
	for c := range s.conns {
		c.abort()
	}

	return err
}

// stop needs the lock.
func (s *Server) stop() error {
	s.closing = true

	errs := make([]error, 0, len(s.listeners))
	for l := range s.listeners {
		errs = append(errs, l.close())
	}

	return errors.Join(errs...)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) add(l *openListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}

	if s.listeners == nil {
		s.listeners, s.conns = map[*openListener]struct{}{}, map[*conn]struct{}{}
	}

	s.listeners[l] = struct{}{}

	return true
}

func (s *Server) remove(l *openListener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.tellIfQuiet()
}

// track notes a new connection. Also one that was accepted while the listener was being closed is served.
func (s *Server) track(c *conn) {
	s.setState(c.conn, http.StateNew)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	// Close has gone through the connections before.
	if s.closed {
		c.abort()
	}
}

func (s *Server) untrack(c *conn) {
	s.setState(c.conn, http.StateClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.tellIfQuiet()
}

func (s *Server) isQuiet() bool { return len(s.conns) == 0 && len(s.listeners) == 0 }

func (s *Server) tellIfQuiet() {
	if s.quiet != nil && s.isQuiet() {
		close(s.quiet)
		s.quiet = nil
	}
}

func (s *Server) setState(c net.Conn, state http.ConnState) {
	if s.ConnState != nil {
		s.ConnState(c, state)
	}
}

func (s *Server) handler() http.Handler {
	if s.Handler == nil {
		return http.DefaultServeMux
	}

	return s.Handler
}

func (s *Server) maxHeaderBytes() int {
	if s.MaxHeaderBytes <= 0 {
		return DefaultMaxHeaderBytes
	}

	return s.MaxHeaderBytes
}

// limitHead sets the time for the head of a connection's request.
func (s *Server) limitHead(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// An error shows when something is read.
	_ = c.conn.SetReadDeadline(s.headDeadline())
}

// endHead ends it.
func (s *Server) endHead(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.headRead = true
	_ = c.conn.SetReadDeadline(time.Time{})
}

// headDeadline is the zero time for none.
func (s *Server) headDeadline() time.Time {
	if s.closing && (s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > lastHeadTime) {
		return time.Now().Add(lastHeadTime)
	}

	switch {
	case s.ReadHeaderTimeout < 0:
		return time.Time{}
	case s.ReadHeaderTimeout == 0:
		return time.Now().Add(DefaultReadHeaderTimeout)
	}

	return time.Now().Add(s.ReadHeaderTimeout)
}
