package passenger

import (
	"net"

	"github.com/gopassenger/passenger/spawner"
)

// maxIdleConns bounds the idle connections that are kept to a socket of
// unlimited concurrency; one of concurrency n keeps n.
const maxIdleConns = 256

// socket is where a process takes requests. Pool.mu guards its fields but
// spec.
type socket struct {
	spec        *spawner.Socket
	concurrency int // 0: no limit
	sessions    int
	// idle are open connections without a session, the latest used last.
	idle []net.Conn
}

// takeIdleLocked returns the latest used idle connection or nil.
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

// keepIdleLocked keeps a connection for the next session; false: there is no room.
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

func (s *socket) closeIdle(fx *effects) {
	for _, c := range s.idle {
		fx.closeConn(c)
	}

	s.idle = nil
}
