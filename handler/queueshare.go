package handler

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/gopassenger/passenger"
)

// DefaultMaxQueueShare is the default of Config.MaxQueueShare.
const DefaultMaxQueueShare = 0.5

var errQueueShare = errors.New("the client's connection has as many requests in the queue as one may have")

// queueShares counts, for each connection that may have several requests at a time, those that wait for a process:
// otherwise one connection of HTTP/2 could fill the application's queue.
type queueShares struct {
	limit int // zero means none

	mu      sync.Mutex
	waiting map[any]int // by connection
}

// newQueueShares returns the shares of a handler with this configuration.
func newQueueShares(cfg *Config) *queueShares {
	size := cfg.Options.MaxRequestQueueSize
	if size == 0 {
		size = passenger.DefaultMaxRequestQueueSize
	}

	s := &queueShares{waiting: map[any]int{}}
	if size > 0 && cfg.MaxQueueShare > 0 && cfg.MaxQueueShare < 1 {
		s.limit = max(int(float64(size)*cfg.MaxQueueShare), 1)
	}

	return s
}

// enter counts a request of a connection, and reports whether the connection may have it.
func (s *queueShares) enter(conn any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.waiting[conn] >= s.limit {
		return false
	}

	s.waiting[conn]++

	return true
}

func (s *queueShares) leave(conn any) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.waiting[conn]--; s.waiting[conn] == 0 {
		delete(s.waiting, conn)
	}
}

// sharedConnection identifies the connection of a request that is one of perhaps many on it; nil means that there is no
// limit, or no way to tell connections apart.
func (r *request) sharedConnection() any {
	if r.h.shares.limit == 0 || r.http.ProtoMajor < 2 {
		return nil
	}

	if _, err := netip.ParseAddrPort(r.http.RemoteAddr); err == nil {
		return r.http.RemoteAddr
	}

	// Clients of a Unix socket have no address, nor have those that a proxy cannot name. The server's own is a pointer,
	// which each connection has another of.
	switch local := r.http.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.UnixAddr, *net.TCPAddr:
		return local
	}

	return nil
}

// getSession gets a session, within the connection's share of the queue.
func (x *exchange) getSession() (*passenger.Session, error) {
	if conn := x.req.sharedConnection(); conn != nil {
		if !x.h.shares.enter(conn) {
			return nil, errQueueShare
		}

		defer x.h.shares.leave(conn)
	}

	return x.h.pool.Get(x.req.ctx, x.req.options())
}
