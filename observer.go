package passenger

import (
	"context"
	"errors"
	"net/textproto"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
)

// Observer receives what happens, for metrics and traces; see Config.Observer. A type that embeds
// NoObserver needs only the methods it wants.
//
// Methods are called concurrently, without any lock held, and should be quick: those about
// requests, which package handler calls, delay the request; the others delay whatever caused the
// event, which may be a request as well. Events that happen at the same time may come in any order.
// Methods may call the pool, but must not wait for what waits for them: Shutdown, Close and
// DetachApp, and, while SpawnBegan or SpawnEnded has not returned, a process of that application. An
// event belongs to the callee, which may keep it.
//
// Each beginning has one end, also when the pool closes. Spawns and restarts are matched by the ID
// of their events, requests by their context.
type Observer interface {
	// RequestBegan is called before anything else is done for a request, whose context is ctx. The
	// context it returns, ctx or one derived from it, replaces the request's. Headers that it puts
	// into e.AppHeader are sent to the application.
	RequestBegan(ctx context.Context, e *RequestEvent) context.Context
	// RequestEnded is called when the response has been written, or cannot be. ctx is the context
	// that RequestBegan returned.
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

// RequestEvent describes a request. The fields about the response are zero at its beginning.
type RequestEvent struct {
	// ID is the request's X-Request-Id.
	ID string
	// AppName is the name of the application's group.
	AppName string
	Method  string
	// Target is path and query as sent, Host the Host header.
	Target, Host string
	// RemoteAddr is the client's address, behind trusted proxies. Protocol is the version the
	// client uses, as in "HTTP/1.1", and Scheme is "https" or "http", as trusted proxies say.
	RemoteAddr, Protocol, Scheme string
	// TrustedPeer reports whether the peer is one of handler.Config.TrustedProxies, or on a Unix
	// socket, so that the trace context in Header is believed.
	TrustedPeer bool
	Began       time.Time
	// Header is what the client sent, as middleware left it. Only RequestBegan sees it, and must
	// neither change nor keep it: it may hold secrets.
	Header textproto.MIMEHeader
	// AppHeader is nil, and RequestBegan may set it: headers for the application, such as
	// traceparent for a span, which replace those of the client by these names. A name without
	// values removes the client's header. Left out, with a line in the log, are names with other
	// characters than letters, digits and dashes, values with control characters, and headers that
	// only the handler sets: Host, Content-Length, X-Request-Id, X-Forwarded-For,
	// X-Forwarded-Proto, and those of the connection.
	AppHeader textproto.MIMEHeader

	// Status is the status of the response; zero means that the client left before it got one.
	Status int
	// RequestBytes and ResponseBytes are the sizes of the bodies that the client sent and was sent.
	RequestBytes, ResponseBytes int64
	// PID and GUPID name the last process that got the request; zero means none did.
	PID   int
	GUPID string
	// Processes is the number of sessions that were opened for it.
	Processes int
	// Cached reports whether the turbocache had the response, Stream whether that was a WebSocket or
	// a stream of events, and Excluded whether handler.Config.MetricsExclude names its path.
	Cached, Stream, Excluded bool
	// Err is why the request failed, of the kinds that handler.StatusCode knows.
	Err error

	// The remaining fields are times since Began; zero means that it did not happen.

	// Buffered is when the buffered part of the body was complete and the request began to wait for
	// a process. CheckedOut is when it had a connection to one, FirstByte when the first byte of
	// the response came, AppDone when the process was free again, and Ended when the client had the
	// response.
	Buffered, CheckedOut, FirstByte, AppDone, Ended time.Duration
	// Queued is the part of CheckedOut that was spent waiting for a process.
	Queued time.Duration
}

// SpawnEvent describes an attempt to start a process.
type SpawnEvent struct {
	// ID is the same at the beginning and at the end, and unique in the pool.
	ID               uint64
	AppName, AppRoot string
	// Generation is the group's, which counts the restarts. RestartID is that of the restart the
	// spawn is part of; zero means none.
	Generation uint32
	RestartID  uint64
	// Began is when the spawn began. At its end, Took is its duration, and PID the process's, or
	// Err why there is none, usually a *spawner.SpawnError.
	Began time.Time
	Took  time.Duration
	PID   int
	Err   error
}

// ProcessEvent describes a process that was attached or detached.
type ProcessEvent struct {
	AppName, AppRoot string
	PID              int
	GUPID            string
	Generation       uint32
	At               time.Time
	// Processed is the number of its sessions that were closed.
	Processed uint64
	// Exited reports whether it had ended by itself.
	Exited bool
}

// RestartEvent describes a restart of an application. At its end, Took is its duration, and Err why
// it failed.
type RestartEvent struct {
	// ID is the same at the beginning and at the end, and unique in the pool.
	ID               uint64
	AppName, AppRoot string
	Generation       uint32
	Blocking         bool
	Began            time.Time
	Took             time.Duration
	Err              error
}

// Observers returns an Observer that calls all of these, in their order and each with an event of
// its own; nil ones are left out. The context that one returns for a request is passed to the next
// one, and the last one's is the context of the request and of all its ends. If several set the
// same header for the application, the last one counts. If one panics, the others still get the
// event; those that have begun a request get its end.
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
	begun := 0
	defer func() {
		if begun < len(all) {
			all[:begun].endEarly(ctx, *e)
		}
	}()

	for _, o := range all {
		own := *e
		own.AppHeader = nil
		ctx = o.RequestBegan(ctx, &own) //nolint:fatcontext // each adds to the one before
		begun++

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

// errObserverPanicked is why a request ends whose RequestBegan has panicked.
var errObserverPanicked = errors.New("the request was given up: another observer panicked in RequestBegan")

// endEarly tells the observers that have begun a request that it ends, since another one has panicked.
func (all observers) endEarly(ctx context.Context, e RequestEvent) {
	e.Header, e.AppHeader = nil, nil
	e.Err, e.Ended = errObserverPanicked, time.Since(e.Began)
	all.RequestEnded(ctx, &e)
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

// tell calls each observer with an event of its own, since the callee may keep it. As in runAll, the panic of one takes
// the event from no other.
func tell[E any](all observers, e *E, to func(Observer, *E)) {
	told := 0
	defer func() {
		if told < len(all) {
			tell(all[told:], e, to)
		}
	}()

	for told < len(all) {
		own, o := *e, all[told]
		told++
		to(o, &own)
	}
}

// observe calls the observer, after unlocking.
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

// runObserved is spawn, or a check that fails, between the two events of an observer.
func (a *spawnAttempt) runObserved(ctx context.Context) {
	spawn := a.spawn
	if a.kind == checksOnly {
		err := a.check(ctx)
		if err == nil {
			a.err = nil
			return
		}

		spawn = func(context.Context) (spawner.Process, error) { return nil, err }
	}

	o := a.group.pool.cfg.Observer
	if o == nil {
		a.proc, a.err = spawn(ctx)
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
	began := e // the callee may keep it
	o.SpawnBegan(&began)
	a.proc, a.err = spawn(ctx)
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

// hookTimeout limits how long a process lives on while the hook runs that precedes its end.
const hookTimeout = time.Minute

// fire runs the hooks of an event, after unlocking.
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
