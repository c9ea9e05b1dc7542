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

// Script says how the processes of a [Factory] behave. The zero value starts
// processes at once that accept connections, never answer, serve one request
// at a time and end as soon as they are asked to.
//
// The functions may be called by several goroutines at once and without any
// lock held; nil ones are left out.
type Script struct {
	// Handler answers requests by HTTP. A process starts to serve at the first
	// connection, so one that nobody connects to costs no goroutine.
	Handler http.Handler
	// HandlerFor is a Handler for each process, and wins over it.
	HandlerFor func(*Process) http.Handler
	// ServeConn serves a connection itself and wins over the handlers. The
	// connection is closed when it returns, and when the process ends.
	ServeConn func(*Process, net.Conn)

	// Protocol of the socket; empty: loaderproto.HTTPSession.
	Protocol loaderproto.Protocol
	// SessionKeepAlive of the socket.
	SessionKeepAlive bool
	// Concurrency of the socket; 0: 1.
	Concurrency int
	// Sockets is how many such sockets a process has; 0: 1.
	Sockets int
	// UnixDir makes the sockets real ones in this directory, which must
	// exist; empty: connections are those of net.Pipe.
	UnixDir string

	// SpawnDelay is how long a spawn takes.
	SpawnDelay time.Duration
	// BeforeSpawn is called after SpawnDelay, with the number of the spawn
	// from 1 on. It may block, until ctx ends at most; its error is that of
	// the spawn.
	BeforeSpawn func(ctx context.Context, n int, app spawner.App) error
	// Failures are the errors of spawns by their number.
	Failures map[int]error
	// BeforeDial is called for each connection; its error is that of Dial.
	BeforeDial func(context.Context, *Process) error
	// StopDelay is how long a process takes to end when it is asked to; it
	// ends at once when the context of Stop does.
	StopDelay time.Duration
	// StopPreloader makes the spawners spawner.Preloading ones, and is called
	// when they are to stop their preloader.
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
