package passenger

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
)

type poolState uint8

const (
	poolOpen poolState = iota
	// poolDraining means that new gets fail, and those that wait are served.
	poolDraining
	poolClosed
)

// Pool runs processes of applications and routes each request to the best one. It is safe for
// concurrent use. Make one with New, and end it with Shutdown or Close.
type Pool struct {
	cfg        Config
	factory    spawner.Factory
	ownFactory bool
	hooks      *hooks.Runner
	sample     func([]procstat.Root) (map[int]ProcessMetrics, error)
	// reading is for one call of sample at a time.
	reading struct {
		mu   sync.Mutex
		last time.Time
	}
	epoch time.Time

	// spawnCtx ends to cancel spawns, killCtx to kill processes that are ending already. deadCtx
	// has ended.
	spawnCtx, killCtx       context.Context
	deadCtx                 context.Context
	cancelSpawns, killStops context.CancelFunc
	// wg counts every goroutine and running timer of the pool.
	wg     sync.WaitGroup
	closed chan struct{}

	// eventIDs counts spawns and restarts, for observers.
	eventIDs atomic.Uint64

	// releaseDirs are the applications' ReleaseDirs by releaseKey, read without mu.
	releaseDirs sync.Map

	// mu guards everything below, and the fields of group, process, socket, Session and waiter that
	// say so. Nothing that may block happens while it is held, and only apply locks it to change
	// something.
	mu     sync.Mutex
	state  poolState
	groups map[string]*group
	fx     effects
	// seq counts the processes that were ever attached.
	seq uint32
	// capacityUsed, sessions and waiting are the sums of all groups.
	capacityUsed int
	sessions     int
	waiting      int
	// idle are the processes without a session, the longest idle first.
	idle list[process]
	// starving are the groups that have gets waiting and no process, hungry those that want more
	// processes than they have. Both wait for capacity.
	starving, hungry list[group]
	// checks is the number of groups of which a spawner is asked whether they can start.
	checks int
	// failures are the last failed spawns, oldest first.
	failures []*FailedSpawn
	// leaving are the removed groups of which something is left.
	leaving []*group
	// timed are the sessions with a time limit. idleTimer runs stopIdleProcesses.
	timed     list[sessionLimit]
	idleTimer *poolTimer
	// vacant are the groups without processes, gets and a minimum, the longest vacant first.
	// vacantTimer runs forgetVacantGroups.
	vacant        list[group]
	vacantTimer   *poolTimer
	drained       chan struct{}
	drainedMarked bool
	closeErr      error
}

// New returns a Pool. The error names all faults of cfg.
func New(cfg Config) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}

	cfg.setDefaults()
	p := &Pool{
		cfg:     cfg,
		factory: cfg.Spawner,
		epoch:   time.Now(),
		groups:  map[string]*group{},
		closed:  make(chan struct{}),
		drained: make(chan struct{}),
	}
	var err error
	if p.hooks, err = hooks.NewRunner(cfg.Logger, cfg.Hooks...); err != nil {
		return nil, err
	}

	if p.factory == nil {
		if p.factory, err = spawner.New(spawner.Config{Logger: cfg.Logger, Version: Version}); err != nil {
			return nil, err
		}

		p.ownFactory = true
	}

	p.sample = (&procstat.Sampler{Marker: spawner.MarkerVar}).SampleTrees
	p.spawnCtx, p.cancelSpawns = context.WithCancel(context.Background())
	p.killCtx, p.killStops = context.WithCancel(context.Background())
	var end context.CancelFunc
	p.deadCtx, end = context.WithCancel(p.killCtx)
	end()
	if cfg.MetricsInterval > 0 {
		p.wg.Go(func() { p.watchMetrics(cfg.MetricsInterval) })
	}

	return p, nil
}

// Observer returns Config.Observer, which may be nil.
func (p *Pool) Observer() Observer { return p.cfg.Observer }

// now is the time since the pool was made, by the monotonic clock.
func (p *Pool) now() time.Duration { return time.Since(p.epoch) }

// AsyncGet requests a session with a process of the application that opts name, and starts
// processes as needed. callback receives the session, which must be closed, or an error: exactly
// once, perhaps before AsyncGet returns, and in any goroutine. It should be quick. It may call the
// pool again, but must not wait for Shutdown or Close.
//
// stop withdraws the request. It returns true if callback will never be called, like the stop
// function of context.AfterFunc. AsyncGet panics if callback is nil, since no one could close the
// session.
//
// Errors: those of opts.Validate; ErrClosed; *QueueFullError; ErrQueueTimeout after
// opts.MaxRequestQueueTime; *spawner.SpawnError, or any error of another Spawner, when the process
// for this get does not start; *DeploymentError when the new release does not start and all
// processes of the old one are disabled; ErrAppDetached after DetachApp.
func (p *Pool) AsyncGet(opts *Options, callback func(*Session, error)) (stop func() bool) {
	if callback == nil {
		panic("passenger: AsyncGet with a nil callback: nothing would close the session")
	}

	s, w, err := p.get(opts, callback)
	if w != nil {
		return w.withdraw
	}

	callback(s, err)

	return stopNothing
}

// stopNothing is the stop function of a request that is over.
func stopNothing() bool { return false }

// Get is AsyncGet that waits for the session. When ctx ends first, it withdraws the request and
// returns ctx's error. Its other errors are those of AsyncGet.
func (p *Pool) Get(ctx context.Context, opts *Options) (*Session, error) {
	// A get that need not wait would not look at ctx.
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	s, w, err := p.get(opts, nil)
	if w == nil {
		return s, err
	}

	select {
	case r := <-w.result:
		return r.session, r.err
	case <-ctx.Done():
		if w.withdraw() {
			return nil, ctx.Err()
		}

		// The result is on its way: a session must reach the caller, or it would never be closed.
		r := <-w.result

		return r.session, r.err
	}
}

// get returns a session, a waiter in the queue, or an error.
func (p *Pool) get(opts *Options, callback func(*Session, error)) (s *Session, w *waiter, err error) {
	var c fileCheck
	todo := p.apply(func(fx *effects) {
		var g *group
		if g, err = p.findOrAddGroupLocked(opts); err != nil {
			return
		}

		var due bool
		if c, due = g.startFileCheckLocked(); due {
			g.reconcile(fx) // the group may be new, and have a minimum
			return
		}

		s, w, err = g.getOrEnqueue(fx, opts, callback)
	})
	if len(todo) > 0 {
		runForGet(todo, s, w, err, callback)
	}

	if c.group == nil {
		return s, w, err
	}

	// The lock is free while the disk is read, so everything is looked up again behind it.
	files := statRestartFiles(opts.restartDir(), c.rights)
	todo = p.apply(func(fx *effects) {
		c.finish(fx, files, opts)
		if c.group.byAdmin {
			err = ErrAppDetached // meanwhile
			return
		}

		var g *group
		if g, err = p.findOrAddGroupLocked(opts); err == nil {
			s, w, err = g.getOrEnqueue(fx, opts, callback)
		}
	})
	if len(todo) > 0 {
		runForGet(todo, s, w, err, callback)
	}

	return s, w, err
}

// runForGet is runAll for a get with the result s, w and err. If the callback of another get
// panics, this get's callback is still called; a caller that waits gets the panic instead of a
// result, so the session is closed.
func runForGet(todo []func(), s *Session, w *waiter, err error, callback func(*Session, error)) {
	returns := false
	defer func() {
		switch {
		case returns:
		case callback != nil && w == nil:
			if s == nil && err == nil {
				err = errInterrupted
			}

			callback(s, err)
		case callback != nil: // the waiter calls it
		case s != nil:
			s.Close(KeepAlive)
		case w != nil && !w.withdraw():
			if r := <-w.result; r.session != nil {
				r.session.Close(KeepAlive)
			}
		}
	}()

	runAll(todo)
	returns = true
}

// getOrEnqueue returns a session, or a waiter in the queue.
func (g *group) getOrEnqueue(fx *effects, opts *Options, callback func(*Session, error)) (*Session, *waiter, error) {
	if err := g.updateLimits(fx, opts); err != nil {
		return nil, nil, err
	}

	if s := g.routeStickyLocked(opts.StickySessionID); s != nil {
		return s, nil, nil
	}

	g.warnOfLongSessions(fx)

	w, full := g.enqueueLocked(opts, callback)
	if full != nil {
		g.fire(fx, hooks.Event{Name: hooks.QueueFullError, ErrorMessage: full.Error(), ErrorID: full.ID})
		return nil, nil, full
	}

	g.reconcile(fx)

	return nil, w, nil
}

// findOrAddGroupLocked returns the group of the application that opts name.
func (p *Pool) findOrAddGroupLocked(opts *Options) (*group, error) {
	if p.state != poolOpen {
		return nil, ErrClosed
	}

	name := opts.App.Name()

	first := p.groups[name]
	for g := first; g != nil; g = g.namesake {
		if opts.sameApp(&g.opts.App) {
			return g, nil
		}
	}

	// Validated here and not for each get, since it looks at all of App.
	if err := opts.Validate(); err != nil {
		return nil, err
	}

	g := newGroup(p, opts)
	g.namesake = first
	p.groups[name] = g
	g.fire(&p.fx, hooks.Event{Name: hooks.AfterInitializeSupergroup})

	return g, nil
}

// allGroups yields the groups, leaving ones included, in any order.
func (p *Pool) allGroups(yield func(*group) bool) {
	for _, g := range p.groups {
		for ; g != nil; g = g.namesake {
			if !yield(g) {
				return
			}
		}
	}

	for _, g := range p.leaving {
		if !yield(g) {
			return
		}
	}
}
