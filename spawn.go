package passenger

import (
	"crypto/rand"
	"path/filepath"
	"sync"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// release is what a group's processes of one generation are started from.
type release struct {
	app        spawner.App
	generation uint32
	made       time.Time
	uuid       string
	// attempts counts the spawns from it that go on, those included that were
	// given up; retired: there will be no more. Pool.mu guards both.
	attempts int
	retired  bool
	// root is the application's directory behind the links that lead to it,
	// which another release may change; known after the first spawn.
	root string
	// preloaderStop stops the preloader that has nothing to do.
	preloaderStop *poolTimer

	// making is held while the spawner is made, and never under Pool.mu.
	making  sync.Mutex
	spawner spawner.Spawner
}

func newRelease(opts *Options, generation uint32) *release {
	app := opts.App
	app.GroupName = app.Name()
	return &release{app: app, generation: generation, made: time.Now(), uuid: rand.Text()[:20]}
}

// prepare returns the spawner, which it makes once.
func (r *release) prepare(p *Pool) (spawner.Spawner, error) {
	r.making.Lock()
	defer r.making.Unlock()
	if r.spawner != nil {
		return r.spawner, nil
	}
	app := r.app
	if root, err := filepath.EvalSymlinks(app.Root); err == nil {
		app.Root = root // else the spawner says what is wrong with it
	}
	s, err := p.factory.NewSpawner(app)
	if err != nil {
		return nil, err
	}
	r.spawner = s
	p.update(func(*effects) { r.root = app.Root })
	return s, nil
}

func (r *release) close() error {
	r.making.Lock()
	defer r.making.Unlock()
	if r.spawner == nil {
		return nil
	}
	return r.spawner.Close()
}

// stopPreloaderLater lets the preloader go if there is no spawn for a while.
func (g *group) stopPreloaderLater(r *release) {
	p := g.pool
	p.stopTimer(r.preloaderStop)
	idle := g.opts.preloaderIdleTime()
	if idle < 0 || r.retired || p.state == poolClosed {
		return
	}
	preloading, ok := r.spawner.(spawner.Preloading)
	if !ok {
		return
	}
	r.preloaderStop = p.startTimer(idle, func(*effects) {
		if r.attempts == 0 {
			p.wg.Go(preloading.StopPreloader)
		}
	})
}

// spawnAttempt is one spawn that goes on without the lock.
type spawnAttempt struct {
	group   *group
	release *release
	// replaces: the process takes the place of another one, so that the
	// attempt needs no room of its own.
	replaces bool
	// givenUp: nobody wants its process any more.
	givenUp bool
	// failure is how it failed; nil: it did not, or goes on.
	failure *FailedSpawn
}

// run starts the process and brings it to the group.
func (a *spawnAttempt) run() {
	p := a.group.pool
	proc, err := a.observedSpawn()
	if err != nil {
		a.failure = a.newFailedSpawn(err)
	}
	p.update(func(fx *effects) { a.group.spawned(fx, a, proc, err) })
}

func (a *spawnAttempt) spawn() (spawner.Process, error) {
	p := a.group.pool
	s, err := a.release.prepare(p)
	if err != nil {
		return nil, err
	}

	proc, err := s.Spawn(p.spawnCtx)
	if err != nil {
		return nil, err
	}

	// Whatever a Spawner is: what does not pass gets no request.
	confirm := spawner.Config{Logger: p.cfg.Logger, Version: Version}
	if err := spawner.Confirm(p.spawnCtx, &confirm, a.release.app, proc); err != nil {
		p.update(func(fx *effects) { fx.stop(p, proc) })
		return nil, err
	}
	return proc, nil
}
