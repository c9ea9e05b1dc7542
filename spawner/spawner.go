// Package spawner starts the processes of applications and ends them.
//
// A [Factory] makes a [Spawner] for an [App], the Spawner starts a [Process] at each
// call. [New] returns the real factory; package spawnertest has one whose processes are
// Go functions, and a suite for factories of one's own.
//
// The real one finds out what to execute as which user, and reads the application's files
// with that user's rights. It starts a child, or has a preloader fork one, and runs the
// spawn handshake (package loaderproto) with a loader of package loaders, or waits for a
// program that serves on a port. What the process prints is collected and logged. Before
// the process counts, it is asked for the health check and the warm-up requests. What
// goes wrong is a [*SpawnError], with the category, advice, and what was printed.
//
// Processes do not inherit that the program ignores a signal, as one below nohup does: from the
// first start on, such signals go to a channel without a reader. They still do nothing to the
// program, and [os/signal.Ignored] does not report them any more.
package spawner

import (
	"context"
	"net"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

// Factory makes spawners. It is safe for concurrent use.
type Factory interface {
	// NewSpawner returns a spawner for app. It starts nothing; an error says
	// what of app cannot be used.
	NewSpawner(app App) (Spawner, error)
	// Close releases what the factory holds, after all of its processes have
	// been stopped.
	Close() error
}

// Spawner starts processes of one application. It is safe for concurrent use.
type Spawner interface {
	// Spawn starts a process and returns when it is ready to serve. Every
	// error is a *SpawnError, whose cause is ctx's when ctx ended first;
	// nothing of the attempt is left then. It may leave the health check to the
	// caller: see Info.Checked.
	Spawn(ctx context.Context) (Process, error)
	// Close stops what the spawner itself runs beside the processes it has
	// returned.
	Close() error
}

// Preloading is what a Spawner may be that keeps a preloader running between
// spawns.
type Preloading interface {
	Spawner
	// StopPreloader stops the preloader, if one runs. The next Spawn starts it
	// again.
	StopPreloader()
}

// Checking is what a Spawner may be that can find faults of an application without starting anything.
type Checking interface {
	Spawner
	// Check fails as Spawn would because of the application's files, its interpreter or its user. The
	// pool calls it before it stops a process of another application to have room for the Spawn.
	Check(ctx context.Context) error
}

// Process is a running process of an application. It is safe for concurrent
// use.
type Process interface {
	// Info returns what is known since the start. The same pointer each time;
	// not to be changed.
	Info() *Info
	// Exited is closed when the process has ended and was reaped.
	Exited() <-chan struct{}
	// ExitStatus says how the process ended, as "exit status 1" or
	// "signal: killed"; empty while it runs.
	ExitStatus() string
	// Stop asks the process to end by closing its stdin, tells it by TERM
	// when it takes its time, and kills it and everything in its process group
	// when the stop time-out or ctx is over. It returns when nothing of the
	// process is left, its sockets included. It may be called more than once and by several
	// goroutines: the shortest of their contexts counts.
	Stop(ctx context.Context)
}

// Info is what is known of a process since its start.
type Info struct {
	// PID is what to show and to measure, and nothing to send signals to: it
	// may be what the application said.
	PID int
	// AppType is the type of the application, also where App.Type was empty; empty for a
	// start command. StartupFile is the absolute path of its startup file; may be empty.
	AppType, StartupFile string
	// User is the name of the user it runs as; empty if there is none.
	User string
	// UID and GID are those it runs with.
	UID, GID int
	// GUPID is unlike that of any other process, at other times as well.
	GUPID string
	// WithRights runs f, which looks at files, with the rights of the process's user; nil means that this program
	// has the same. f must not start goroutines.
	WithRights func(f func() error) error
	// ConnectPassword is what requests to the process carry to show that they
	// come from here. Never log it.
	ConnectPassword string
	// Sockets that take requests: at least one, at most
	// loaderproto.MaxRequestSockets.
	Sockets []Socket
	// OtherSockets are for display.
	OtherSockets []loaderproto.Socket
	// Scripts are those of an application of type php; nil for other types.
	Scripts *Scripts
	// Checked reports whether the process has passed the App's health check and got its
	// warm-up requests. Package passenger calls Confirm for those that have not.
	Checked bool
	// SpawnStarted and SpawnEnded carry monotonic readings.
	SpawnStarted, SpawnEnded time.Time
}

// Protocol is what a socket that takes requests speaks.
type Protocol = loaderproto.Protocol

// The protocols of requests.
const (
	SessionProtocol = loaderproto.Session
	HTTPProtocol    = loaderproto.HTTPSession
	FastCGIProtocol = loaderproto.FastCGI
)

// Socket is a socket that takes requests.
type Socket struct {
	loaderproto.Socket
	// SessionKeepAlive reports whether connections of the session protocol stay open between
	// requests.
	SessionKeepAlive bool
	// OutOfBandWork reports whether the process can be asked for out-of-band work by HTTP.
	OutOfBandWork bool
	// NamesClient reports whether requests by HTTP tell the process who the client is.
	NamesClient bool
	// Dial connects to the socket.
	Dial func(context.Context) (net.Conn, error)
	// Log gets each line, without its end, that the process writes to the error stream of
	// a request by FastCGI. It may be called by several goroutines; nil means that lines are dropped.
	Log func(line []byte)
}
