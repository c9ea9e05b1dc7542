package passenger

import (
	"context"
	"net/textproto"
	"time"
)

// Observer is told what happens, for metrics and traces; Config.Observer is
// one. A type that embeds NoObserver need only have the methods it wants.
//
// Methods are called by several goroutines at once, without any lock held, and
// should be quick: those about requests, which package handler calls, hold up the
// request, the others whatever made it happen, perhaps a request as well. Two
// things that happen at the same time may be told in any order. Methods may call
// the pool, but not wait for Shutdown or Close. An event is the callee's to keep.
//
// What begins has one end, also when the pool closes: spawns and restarts are told
// by the ID of their events, requests by their context.
type Observer interface {
	// RequestBegan comes before anything is done for a request, whose context is
	// ctx. What it returns, ctx or one that is derived from it, is the request's from
	// then on. Headers that it puts into e.AppHeader are sent to the application.
	RequestBegan(ctx context.Context, e *RequestEvent) context.Context
	// RequestEnded comes when the response has been written, or it cannot be. ctx is
	// what RequestBegan has returned.
	RequestEnded(ctx context.Context, e *RequestEvent)
	SpawnBegan(e *SpawnEvent)
	SpawnEnded(e *SpawnEvent)
	ProcessAttached(e *ProcessEvent)
	ProcessDetached(e *ProcessEvent)
	RestartBegan(e *RestartEvent)
	RestartEnded(e *RestartEvent)
}

// NoObserver is an Observer that ignores everything.
type NoObserver struct{}

var _ Observer = NoObserver{}

// RequestBegan returns ctx.
func (NoObserver) RequestBegan(ctx context.Context, _ *RequestEvent) context.Context { return ctx }

func (NoObserver) RequestEnded(context.Context, *RequestEvent) {} //nolint:revive // an Observer's
func (NoObserver) SpawnBegan(*SpawnEvent)                      {} //nolint:revive // an Observer's
func (NoObserver) SpawnEnded(*SpawnEvent)                      {} //nolint:revive // an Observer's
func (NoObserver) ProcessAttached(*ProcessEvent)               {} //nolint:revive // an Observer's
func (NoObserver) ProcessDetached(*ProcessEvent)               {} //nolint:revive // an Observer's
func (NoObserver) RestartBegan(*RestartEvent)                  {} //nolint:revive // an Observer's
func (NoObserver) RestartEnded(*RestartEvent)                  {} //nolint:revive // an Observer's

// RequestEvent is a request. When it has only begun, what its answer would tell
// is zero.
type RequestEvent struct {
	// ID is the request's X-Request-Id.
	ID string
	// AppName is the name of the application's group.
	AppName string
	Method  string
	// Target is path and query as sent, Host the Host header.
	Target, Host string
	// RemoteAddr is the client's address, behind trusted proxies; Protocol is what it speaks, as in
	// "HTTP/1.1".
	RemoteAddr, Protocol string
	Began                time.Time
	// AppHeader is for RequestBegan, which finds it nil and may set it: headers for the
	// application, such as a span's traceparent, in the place of those that the client
	// has sent by these names. A name without values removes the client's. Left out, with
	// a line in the log, are names with other characters than letters, digits and dashes,
	// values with control characters, and what only the handler sets: Host,
	// Content-Length, X-Request-Id, X-Forwarded-For and -Proto, headers of the connection.
	AppHeader textproto.MIMEHeader

	// Status is what was answered; 0: nothing, as the client had gone.
	Status int
	// RequestBytes and ResponseBytes count bodies: what the client has sent,
	// and what it was sent.
	RequestBytes, ResponseBytes int64
	// PID and GUPID tell the process that had the request last; zero: none.
	PID   int
	GUPID string
	// Processes counts the sessions that were opened for it.
	Processes int
	// Cached: the turbocache had the answer.
	Cached bool
	// Err is what went wrong, of the kinds that handler.StatusCode knows.
	Err error

	// The rest says when things had happened, since Began; 0: they had not.

	// Buffered is when the body had been read that is buffered, and the request
	// began to wait for a process; CheckedOut when it had a connection to one;
	// FirstByte when the first byte of the answer came; AppDone when the
	// process was free again, and Ended when the client had its answer.
	Buffered, CheckedOut, FirstByte, AppDone, Ended time.Duration
	// Queued is how much of the time until CheckedOut was spent waiting for a
	// process.
	Queued time.Duration
}

// SpawnEvent is an attempt to start a process.
type SpawnEvent struct {
	// ID is the same at the beginning and at the end, and no other event's of the pool.
	ID               uint64
	AppName, AppRoot string
	// Generation is the group's, which counts the restarts. RestartID is that of the
	// restart that the spawn is for; zero: none.
	Generation uint32
	RestartID  uint64
	// Began is when; when it has ended, Took is how long it took, and PID that
	// of the process, or Err why there is none, mostly a *spawner.SpawnError.
	Began time.Time
	Took  time.Duration
	PID   int
	Err   error
}

// ProcessEvent is a process that came to an application or left it.
type ProcessEvent struct {
	AppName, AppRoot string
	PID              int
	GUPID            string
	Generation       uint32
	At               time.Time
	// Processed counts the sessions it has had.
	Processed uint64
	// Exited: it had ended by itself.
	Exited bool
}

// RestartEvent is a restart of an application. When it has ended, Took is how
// long it took, and Err why it was called off.
type RestartEvent struct {
	// ID is the same at the beginning and at the end, and no other event's of the pool.
	ID               uint64
	AppName, AppRoot string
	Generation       uint32
	Blocking         bool
	Began            time.Time
	Took             time.Duration
	Err              error
}
