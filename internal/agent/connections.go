package agent

import (
	"cmp"
	"net"
	"net/http"
	"syscall"

	"github.com/gopassenger/passenger/internal/connlimit"
)

// Connections say how many clients may be connected.
type Connections struct {
	// MaxConnections bounds the connections; zero means three quarters of the files that the
	// process may open.
	MaxConnections int
	// MaxConnectionsPerClient bounds the connections of one client without a whole request;
	// zero means a quarter of MaxConnections.
	MaxConnectionsPerClient int
}

// unknownFileLimit stands for a limit of open files that the system does not tell.
const unknownFileLimit = 1024

func (c *Connections) limits() connlimit.Limits {
	files := syscall.Rlimit{Cur: unknownFileLimit}
	// If it fails, the value stays as it is.
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)

	limits := connlimit.Default(files.Cur)
	if c.MaxConnections > 0 {
		limits.Total, limits.PerClient = c.MaxConnections, max(c.MaxConnections/4, 1)
	}

	limits.PerClient = cmp.Or(c.MaxConnectionsPerClient, limits.PerClient)

	return limits
}

// trackHTTP is the ConnState of the server of HTTP, by which a connection is active when
// the head of a request has come; s.conns get the first byte besides.
func (s *Server) trackHTTP(conn net.Conn, state http.ConnState) {
	s.guard.ConnState(conn, state)
	s.limiter.Track(conn, state)
}

// trackSCGI is that of the server of SCGI, by which it is active when the first byte has
// come; HeadRead tells of the head.
func (s *Server) trackSCGI(conn net.Conn, state http.ConnState) {
	s.conns.Track(conn, state)
	if state != http.StateActive {
		s.limiter.Track(conn, state)
	}
}
