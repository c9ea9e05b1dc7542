package spawnertest

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// Unlimited is the [Script.Concurrency] of a process without a limit.
const Unlimited = -1

// Script describes how the processes of a [Factory] behave. With the zero value, processes start at
// once, accept connections without ever responding, serve one request at a time, and end as soon as
// they are asked to.
//
// The functions may be called concurrently, without any lock held. Nil ones are left out.
type Script struct {
	// Handler responds to requests by HTTP. A process begins to serve at its first connection, so
	// an unused one costs no goroutine.
	Handler http.Handler
	// HandlerFor returns a Handler for each process, and takes precedence over Handler.
	HandlerFor func(*Process) http.Handler
	// ServeConn serves a connection itself, and takes precedence over the handlers. The connection
	// is closed when it returns, and when the process ends.
	ServeConn func(*Process, net.Conn)

	// Protocol is that of the sockets; empty means loaderproto.HTTPSession.
	Protocol loaderproto.Protocol
	// SessionKeepAlive is that of the sockets.
	SessionKeepAlive bool
	// NamesClient is that of the sockets.
	NamesClient bool
	// Log is that of the sockets.
	Log func(line []byte)
	// Concurrency is that of each socket; zero means 1.
	Concurrency int
	// Sockets is the number of sockets of a process; zero means 1.
	Sockets int
	// UnixDir is an existing directory for real Unix sockets; empty means connections of net.Pipe.
	UnixDir string

	// SpawnDelay is the duration of a spawn.
	SpawnDelay time.Duration
	// BeforeSpawn is called after SpawnDelay with the number of the spawn, from 1 on. It may block
	// until ctx ends. Its error is that of the spawn.
	BeforeSpawn func(ctx context.Context, n int, app spawner.App) error
	// OnCheck is called by each Check, and its error is that of the Check.
	OnCheck func(ctx context.Context, app spawner.App) error
	// Failures are the errors of spawns by their number.
	Failures map[int]error
	// BeforeDial is called for each connection; its error is that of Dial.
	BeforeDial func(context.Context, *Process) error
	// StopDelay is the time a process takes to end when it is stopped. It ends at once when the
	// context of Stop does.
	StopDelay time.Duration
	// StopPreloader makes the spawners implement spawner.Preloading, and is called to stop their
	// preloader.
	StopPreloader func()
	// OnStop is called by the first Stop of a process.
	OnStop func(*Process)
}

func (s *Script) protocol() loaderproto.Protocol {
	if s.Protocol == "" {
		return loaderproto.HTTPSession
	}

	return s.Protocol
}

func (s *Script) concurrency() int {
	switch s.Concurrency {
	case 0:
		return 1
	case Unlimited:
		return 0
	}

	return s.Concurrency
}

func (s *Script) sockets() int { return max(s.Sockets, 1) }

func (s *Script) handler(p *Process) http.Handler {
	if s.HandlerFor != nil {
		return s.HandlerFor(p)
	}

	return s.Handler
}
