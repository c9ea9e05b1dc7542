package handler

import (
	"net"
	"sync"
)

// streams are the answers of a handler that may never end by themselves.
type streams struct {
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	draining bool
}

// add says that an application's connection has such an answer.
func (s *streams) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		cut(conn)
		return
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[conn] = struct{}{}
}

func (s *streams) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Drain ends WebSockets and streams of server-sent events, now and from now on,
// as a server does that is about to shut down: clients connect again, and other
// requests are served.
func (h *Handler) Drain() {
	s := &h.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for conn := range s.conns {
		cut(conn)
	}
}
