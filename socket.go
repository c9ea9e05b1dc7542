package passenger

import (
	"net"

	"github.com/gopassenger/passenger/spawner"
)

// maxIdleConns limits the idle connections to a socket without a concurrency limit. A socket of
// concurrency n keeps n.
const maxIdleConns = 256

// socket is where a process takes requests. Pool.mu guards its fields but spec.
type socket struct {
	spec        *spawner.Socket
	concurrency int // zero means no limit
	sessions    int
	// idle are the open connections without a session, the last used one last.
	idle []net.Conn
}

// takeIdleLocked returns the idle connection that was used last, or nil: the application has had
// the least time to close it.
func (s *socket) takeIdleLocked() net.Conn {
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}

	c := s.idle[last]
	s.idle[last] = nil
	s.idle = s.idle[:last]

	return c
}

// keepIdleLocked keeps a connection for the next session. It returns false if there is no room.
func (s *socket) keepIdleLocked(c net.Conn) bool {
	limit := s.concurrency
	if limit == 0 {
		limit = maxIdleConns
	}

	if len(s.idle) >= limit {
		return false
	}

	s.idle = append(s.idle, c)

	return true
}

// closeIdle closes the idle connections.
func (s *socket) closeIdle(fx *effects) {
	for _, c := range s.idle {
		fx.closeConn(c)
	}

	s.idle = nil
}
