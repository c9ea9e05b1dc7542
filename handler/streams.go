package handler

import (
	"net"
	"sync"
)

// streams are the responses of a handler that may never end by themselves.
type streams struct {
	mu sync.Mutex
	// conns are the connections to the application.
	conns    map[*exchange]net.Conn
	draining bool
}

// add registers the response of an exchange, from conn.
func (s *streams) add(x *exchange, conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		interrupt(conn)
		return
	}

	if s.conns == nil {
		s.conns = map[*exchange]net.Conn{}
	}

	s.conns[x] = conn
}

func (s *streams) remove(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, x)
}

// end ends the response of x, if it is registered.
func (s *streams) end(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn := s.conns[x]; conn != nil {
		interrupt(conn)
	}
}

// Drain ends WebSockets and streams of server-sent events, now and from now on, as a server does that is about to shut
// down: clients connect again, and other requests are served.
func (h *Handler) Drain() {
	s := &h.streams
	s.mu.Lock()
	defer s.mu.Unlock()

	s.draining = true
	for _, conn := range s.conns {
		interrupt(conn)
	}
}
