package passenger

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gopassenger/passenger/spawner"
)

// errGivenUp is the cause with which a spawn is cancelled whose process nobody wants any more.
var errGivenUp = errors.New("passenger: the release that the process was started from has been replaced")

// errNotSpawned is for a spawn that an observer kept from beginning.
var errNotSpawned = errors.New("passenger: the spawn was interrupted: an observer has ended its goroutine")

// release is what a group's processes of one generation are started from. It is one of its group's open releases until
// its spawner is closed. Pool.mu guards its fields but app, generation, made, uuid and making.
type release struct {
	app        spawner.App
	generation uint32
	made       time.Time
	uuid       string
	// attempts counts the spawns from it that go on, those included that were
	// given up; retired: there will be no more.
	attempts int
	retired  bool
	// root is the application's directory behind the links that lead to it,
	// which another release may change; known after the first spawn.
	root string
	// preloaderStop stops the preloader that has nothing to do.
	preloaderStop *poolTimer

	making  singleflight.Group
	spawner spawner.Spawner
}

func newRelease(opts *Options, generation uint32) *release {
	app := opts.App
	app.GroupName = app.Name()

	return &release{
		app:        app,
		generation: generation,
		made:       time.Now(),
		uuid:       rand.Text()[:20],
	}
}

// openRelease makes the release from which processes are started from now on.
func (g *group) openRelease(generation uint32) {
	g.release = newRelease(&g.opts, generation)
	g.openReleases = append(g.openReleases, g.release)
}

// prepare returns the spawner, which is made once.
func (r *release) prepare(p *Pool) (spawner.Spawner, error) {
	made, err, _ := r.making.Do("", func() (any, error) {
		if s := r.madeSpawner(p); s != nil {
			return s, nil
		}

		app := r.app
		if root, err := filepath.EvalSymlinks(app.Root); err == nil {
			app.Root = root // else the spawner says what is wrong with it
		}

		s, err := p.factory.NewSpawner(app)
		if err != nil {
			return nil, err
		}

		p.update(func(*effects) { r.spawner, r.root = s, app.Root })

		return s, nil
	})
	if err != nil {
		return nil, err
	}

	return made.(spawner.Spawner), nil //nolint:forcetypeassert,errcheck // nothing else is made
}

func (r *release) madeSpawner(p *Pool) spawner.Spawner {
	p.mu.Lock()
	defer p.mu.Unlock()

	return r.spawner
}

// retire ends the release: nothing is started from it any more.
func (g *group) retire(r *release) {
	r.retired = true
	g.closeRetired(r)
}

// closeRetired closes the spawner of a retired release as soon as no spawn needs it.
func (g *group) closeRetired(r *release) {
	p := g.pool
	if !r.retired || r.attempts > 0 || p.state == poolClosed {
		return // a pool that closes does it itself
	}

	p.stopTimer(r.preloaderStop)
	p.wg.Go(func() {
		defer p.update(func(*effects) { g.forgetRelease(r) })
		if err := r.closeSpawner(p); err != nil {
			p.cfg.Logger.Error(err, "cannot stop the spawner of an earlier release", "app", g.name)
		}
	})
}

func (r *release) closeSpawner(p *Pool) error {
	if s := r.madeSpawner(p); s != nil {
		return s.Close()
	}

	return nil
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
	// givenUp: nobody wants its process any more; cancel ends the spawn then.
	givenUp bool
	cancel  context.CancelCauseFunc
	// restartID is that of the restart that it is for, for observers.
	restartID uint64
	// proc and err are what it gave, which may be both. failure is how it failed; nil: it
	// did not, or goes on.
	proc    spawner.Process
	err     error
	failure *FailedSpawn
}

// run starts the process and brings it to the group.
func (a *spawnAttempt) run(ctx context.Context) {
	g := a.group
	defer a.cancel(nil)

	// Deferred, since an observer or a callback that is told of it may end this goroutine.
	attached := false
	defer func() {
		if a.proc != nil && !attached {
			a.proc.Stop(g.pool.killCtx)
		}

		g.pool.update(func(*effects) { g.attemptEnded(a) })
	}()
	defer func() {
		if a.err != nil {
			a.failure = a.newFailedSpawn(a.err)
		}

		g.pool.update(func(fx *effects) { attached = g.spawned(fx, a, a.proc, a.err) })
	}()

	a.err = errNotSpawned
	a.observedSpawn(ctx)
}

// spawn returns the process also with the error that it may not serve.
func (a *spawnAttempt) spawn(ctx context.Context) (spawner.Process, error) {
	p := a.group.pool
	s, err := a.release.prepare(p)
	if err != nil {
		return nil, err
	}

	proc, err := s.Spawn(ctx)
	if err != nil {
		return nil, err
	}

	// Whatever a Spawner is: what does not pass gets no request.
	confirm := spawner.Config{Logger: p.cfg.Logger, Version: Version}

	return proc, spawner.Confirm(ctx, &confirm, a.release.app, proc)
}
