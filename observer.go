package passenger

import (
	"context"
	"net/textproto"
	"time"

	"github.com/gopassenger/passenger/hooks"
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
	// "HTTP/1.1", and Scheme is "https" or "http", as trusted proxies say.
	RemoteAddr, Protocol, Scheme string
	Began                        time.Time
	// Header is what the client has sent, as middleware has left it. It is only there for
	// RequestBegan, which must neither change nor keep it: it may have secrets.
	Header textproto.MIMEHeader
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

// Observers returns an Observer that tells all of these, in their order and each with an
// event of its own; nil ones are left out. The context that one returns for a request is
// the next one's, and the last one's is that of the request and of all of its ends. Of two
// that set the same header for the application the later one wins.
func Observers(all ...Observer) Observer {
	several := make(observers, 0, len(all))
	for _, o := range all {
		if o != nil {
			several = append(several, o)
		}
	}

	return several
}

type observers []Observer

func (all observers) RequestBegan(ctx context.Context, e *RequestEvent) context.Context {
	for _, o := range all {
		own := *e
		own.AppHeader = nil
		ctx = o.RequestBegan(ctx, &own) //nolint:fatcontext // each adds to the one before
		if len(own.AppHeader) == 0 {
			continue
		}

		if e.AppHeader == nil {
			e.AppHeader = make(textproto.MIMEHeader, len(own.AppHeader))
		}

		for name, values := range own.AppHeader {
			e.AppHeader[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}

	return ctx
}

func (all observers) RequestEnded(ctx context.Context, e *RequestEvent) {
	tell(all, e, func(o Observer, e *RequestEvent) { o.RequestEnded(ctx, e) })
}

func (all observers) SpawnBegan(e *SpawnEvent)        { tell(all, e, Observer.SpawnBegan) }
func (all observers) SpawnEnded(e *SpawnEvent)        { tell(all, e, Observer.SpawnEnded) }
func (all observers) ProcessAttached(e *ProcessEvent) { tell(all, e, Observer.ProcessAttached) }
func (all observers) ProcessDetached(e *ProcessEvent) { tell(all, e, Observer.ProcessDetached) }
func (all observers) RestartBegan(e *RestartEvent)    { tell(all, e, Observer.RestartBegan) }
func (all observers) RestartEnded(e *RestartEvent)    { tell(all, e, Observer.RestartEnded) }

// tell gives each observer an event of its own, which is the callee's to keep.
func tell[E any](all observers, e *E, to func(Observer, *E)) {
	for _, o := range all {
		own := *e
		to(o, &own)
	}
}

// observe tells the observer, after unlocking.
func (g *group) observe(fx *effects, tell func(Observer)) {
	if o := g.pool.cfg.Observer; o != nil {
		fx.after(func() { tell(o) })
	}
}

func (g *group) observeProcess(fx *effects, tell func(Observer, *ProcessEvent), pr *process) {
	if g.pool.cfg.Observer == nil {
		return
	}

	e := &ProcessEvent{
		AppName:    g.name,
		AppRoot:    g.opts.App.Root,
		PID:        pr.info.PID,
		GUPID:      pr.info.GUPID,
		Generation: pr.generation,
		At:         time.Now(),
		Processed:  pr.processed,
		Exited:     pr.exited,
	}
	g.observe(fx, func(o Observer) { tell(o, e) })
}

// spawnObserved is a spawn that somebody is told of.
func (a *spawnAttempt) spawnObserved(ctx context.Context) {
	o := a.group.pool.cfg.Observer
	if o == nil {
		a.proc, a.err = a.spawn(ctx)
		return
	}

	e := SpawnEvent{
		ID:         a.group.pool.eventIDs.Add(1),
		AppName:    a.release.app.GroupName,
		AppRoot:    a.release.app.Root,
		Generation: a.release.generation,
		RestartID:  a.restartID,
		Began:      time.Now(),
	}
	began := e
	o.SpawnBegan(&began)
	a.proc, a.err = a.spawn(ctx)
	e.Took, e.Err = time.Since(e.Began), a.err
	if a.proc != nil {
		e.PID = a.proc.Info().PID
	}

	o.SpawnEnded(&e)
}

func (g *group) observeRestartBegan(fx *effects, r *restart) {
	r.began = time.Now()
	r.id = g.pool.eventIDs.Add(1)
	r.generation = g.release.generation
	e := g.restartEvent(r)
	g.observe(fx, func(o Observer) { o.RestartBegan(e) })
}

func (g *group) observeRestartEnded(fx *effects, r *restart, err error) {
	e := g.restartEvent(r)
	e.Took, e.Err = time.Since(r.began), err
	g.observe(fx, func(o Observer) { o.RestartEnded(e) })
}

func (g *group) restartEvent(r *restart) *RestartEvent {
	return &RestartEvent{
		ID:         r.id,
		AppName:    g.name,
		AppRoot:    g.opts.App.Root,
		Generation: r.generation,
		Blocking:   !r.rolling,
		Began:      r.began,
	}
}

// hookTimeout bounds how long a process lives on for the hook that is run
// before it is killed.
const hookTimeout = time.Minute

// fire tells the hooks of what happened, after unlocking.
func (g *group) fire(fx *effects, e hooks.Event) {
	p := g.pool
	if !p.hooks.Has(e.Name) {
		return
	}

	e.AppRoot, e.GroupName = g.opts.App.Root, g.name
	fx.after(func() { p.hooks.Fire(e) })
}

func (g *group) fireProcess(fx *effects, name hooks.Name, pr *process) {
	g.fire(fx, hooks.Event{Name: name, PID: pr.info.PID})
}

func (g *group) fireSpawnFailed(fx *effects, f *FailedSpawn, err error) {
	g.fire(fx, hooks.Event{
		Name:            hooks.SpawnFailed,
		Err:             err,
		ErrorMessage:    f.Summary,
		ErrorID:         f.ID,
		AppErrorMessage: f.Said(),
		ErrorAdvice:     f.Advice,
	})
}
