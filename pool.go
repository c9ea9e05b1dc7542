package passenger

import (
	"context"
	"errors"
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
	// poolDraining: no more gets, those that wait are still served.
	poolDraining
	poolClosed
)

// Pool keeps processes of applications and gives each request to the best one.
// It is safe for concurrent use. Make one with New, and end it with Shutdown
// or Close.
type Pool struct {
	cfg        Config
	factory    spawner.Factory
	ownFactory bool
	hooks      *hooks.Runner
	sample     func([]procstat.Root) (map[int]ProcessMetrics, error)
	epoch      time.Time

	// spawnCtx ends when spawns are to be given up, killCtx when processes are
	// to be killed that are ending already. deadCtx has ended.
	spawnCtx, killCtx       context.Context
	deadCtx                 context.Context
	cancelSpawns, killStops context.CancelFunc
	// wg counts every goroutine of the pool's.
	wg     sync.WaitGroup
	closed chan struct{}

	// eventIDs are those of spawns and restarts, for observers.
	eventIDs atomic.Uint64

	// releaseDirs are the applications' ReleaseDirs by releaseKey, read without mu.
	releaseDirs sync.Map

	// mu guards everything below, and the fields of group, process, socket,
	// Session and waiter that say so. Nothing that could block happens while
	// it is held, and nobody but locked takes it to change something.
	mu     sync.Mutex
	state  poolState
	groups map[string]*group
	fx     effects
	// seq is the number of processes that were ever attached.
	seq uint32
	// capacityUsed, sessions and waiting sum up the groups'.
	capacityUsed int
	sessions     int
	waiting      int
	// idle are processes without a session, longest first.
	idle list[process]
	// starving groups have no process and someone waiting, hungry ones want
	// more processes than they have; both wait for capacity.
	starving, hungry list[group]
	// failures are the last spawns that failed, oldest first.
	failures []*FailedSpawn
	// leaving groups are detached, and their processes may not be gone.
	leaving []*group
	// timed are the sessions whose time is limited.
	timed     list[sessionLimit]
	idleTimer *poolTimer
	// vacant are groups that have nothing, longest first.
	vacant        list[group]
	vacantTimer   *poolTimer
	drained       chan struct{}
	drainedMarked bool
	closeErr      error
}

// New returns a Pool. An error names every fault of cfg.
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

// Observer returns the configuration's, or nil.
func (p *Pool) Observer() Observer { return p.cfg.Observer }

// now is the time since the pool was made, on the monotonic clock.
func (p *Pool) now() time.Duration { return time.Since(p.epoch) }

// AsyncGet asks for a session with a process of the application that opts
// names, and starts processes as they are needed. The callback gets it, or an
// error, exactly once, perhaps before AsyncGet returns, in whatever goroutine
// made it possible, so it should be quick; it may call the pool again, but not
// wait for Shutdown or Close. The session must be closed.
//
// stop withdraws the request: true means that the callback will never be
// called.
//
// Errors: those of opts.Validate; ErrClosed; *QueueFullError when too many wait
// already; ErrQueueTimeout after opts.MaxRequestQueueTime; *spawner.SpawnError when a
// process that this get would have been served by did not start, or what else a
// Spawner of one's own returns; *DeploymentError when a release is resisted and all
// processes of the one before are disabled; ErrAppDetached when DetachApp was called.
func (p *Pool) AsyncGet(opts *Options, callback func(*Session, error)) (stop func() bool) {
	s, w, err := p.get(opts, callback)
	if w != nil {
		return w.withdraw
	}

	callback(s, err)

	return stopNothing
}

func stopNothing() bool { return false }

// Get is AsyncGet that waits. When ctx ends first, the request is withdrawn
// and ctx's error returned. Its other errors are those of AsyncGet.
func (p *Pool) Get(ctx context.Context, opts *Options) (*Session, error) {
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

		r := <-w.result

		return r.session, r.err
	}
}

// get returns a session, or a waiter in the queue, or an error.
func (p *Pool) get(opts *Options, callback func(*Session, error)) (s *Session, w *waiter, err error) {
	var c fileCheck // at the restart files, before the get goes on
	todo := p.apply(func(fx *effects) {
		var g *group
		if g, err = p.findOrAddGroupLocked(opts); err != nil {
			return
		}

		var due bool
		if c, due = g.startFileCheckLocked(); due {
			g.reconcile(fx) // it may be new, and have a minimum
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

	files := statRestartFiles(opts.restartDir())
	todo = p.apply(func(fx *effects) {
		c.finish(fx, files, opts)
		if c.group.byAdmin {
			err = ErrAppDetached // while the get looked
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

var errInterrupted = errors.New("passenger: the request was interrupted by a panic in another one's callback")

// runForGet is runAll for a get that has come as far as s, w and err say. If somebody
// else's callback panics, the get's own callback is called as ever, and a caller that
// waits gets nothing, so that nothing is kept for it.
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
		case callback != nil: // it is called later
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

func (g *group) getOrEnqueue(fx *effects, opts *Options, callback func(*Session, error)) (*Session, *waiter, error) {
	if err := g.updateLimits(fx, opts); err != nil {
		return nil, nil, err
	}

	if s := g.routeStickyLocked(opts.StickySessionID); s != nil {
		return s, nil, nil
	}

	w, full := g.enqueueLocked(opts, callback)
	if full != nil {
		g.fire(fx, hooks.Event{Name: hooks.QueueFullError, ErrorMessage: full.Error(), ErrorID: full.ID})
		return nil, nil, full
	}

	g.reconcile(fx)

	return nil, w, nil
}

// findOrAddGroupLocked returns the group of opts, made if need be.
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

	if err := opts.Validate(); err != nil {
		return nil, err
	}

	g := newGroup(p, opts)
	g.namesake = first
	p.groups[name] = g
	g.fire(&p.fx, hooks.Event{Name: hooks.AfterInitializeSupergroup})

	return g, nil
}

// allGroups yields the groups, in no order.
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
