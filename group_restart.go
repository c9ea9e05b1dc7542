package passenger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RestartMethod says what becomes of requests while an application restarts.
type RestartMethod uint8

// The methods.
const (
	// RestartDefault is RestartRolling, or what Options.BlockingRestarts says.
	RestartDefault RestartMethod = iota
	// RestartRolling starts each new process before an old one stops taking
	// requests. If a new one cannot start, the old ones go on serving.
	RestartRolling
	// RestartBlocking stops the old processes at once. Requests that they have
	// are finished, others wait for the first new process.
	RestartBlocking
)

// RestartOptions say how to restart. The zero value is usable.
type RestartOptions struct {
	Method RestartMethod
	// Options replace those that the application was started with; nil: they
	// stay. Their App must be the same application, by its name, root, user, group
	// and environment.
	Options *Options
	// Allowed reports whether an application may be restarted; nil: each may. The
	// others are passed over as if they were not there. It must not call the pool.
	Allowed func(AppIdentity) bool
}

// Restart restarts the applications of this group name and waits until their
// new processes serve: all of them in a rolling restart, the first in a
// blocking one. An application that has no process, no minimum and nobody who waits
// starts none.
//
// Errors: ErrNoSuchApp; *spawner.SpawnError when a new process did not start,
// within a *DeploymentError when old ones serve on; ErrPoolFull when there is no old
// process and no room for a new one, which starts when there is; ErrAppDetached;
// ErrClosed; those of o.Options.Validate, and one of Options of another application,
// with which nothing is restarted; or ctx's, with which the restart goes on. Those of
// several applications are joined.
func (p *Pool) Restart(ctx context.Context, name string, o RestartOptions) error {
	n, wait, err := p.BeginRestart(name, o)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("%w: %s", ErrNoSuchApp, name)
	}

	return wait(ctx)
}

// RestartAppRoot is Restart for all applications in this directory. It returns
// how many there are, which may be none.
func (p *Pool) RestartAppRoot(ctx context.Context, root string, o RestartOptions) (int, error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.opts.App.Root == root })
	if err != nil {
		return 0, err
	}

	return len(results), results.wait(ctx)
}

// BeginRestart begins to restart the applications of this group name and returns how
// many there are, which may be none. wait does what Restart does from then on, and
// need not be called.
//
// Errors: ErrClosed, and those of o.Options as Restart has them.
func (p *Pool) BeginRestart(name string, o RestartOptions) (n int, wait func(context.Context) error, err error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.name == name })

	return len(results), results.wait, err
}

// restartResults get how the restarts end, each a value.
type restartResults []chan error

func (r restartResults) wait(ctx context.Context) error {
	var errs []error
	for _, result := range r {
		select {
		case err := <-result:
			result <- err // for another wait
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return errors.Join(errs...)
}

func (p *Pool) beginRestarts(o RestartOptions, match func(*group) bool) (results restartResults, err error) {
	if o.Options != nil {
		if err := o.Options.Validate(); err != nil {
			return nil, err
		}
	}

	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}

		var groups []*group
		for g := range p.allGroups {
			if g.removed || !match(g) || o.Allowed != nil && !o.Allowed(g.identity()) {
				continue
			}

			if o.Options != nil && !o.Options.isOf(g) {
				err = errOtherApp(o.Options, g)
				return
			}

			groups = append(groups, g)
		}

		for _, g := range groups {
			result := make(chan error, 1)
			results = append(results, result)
			g.beginRestart(fx, &o, func(err error) { result <- err })
		}
	})

	return results, err
}

func errOtherApp(o *Options, g *group) error {
	return fmt.Errorf("passenger: cannot restart %s with the options of another application: theirs is %s, and "+
		"must be %s",
		g.name, o.describeApp(), g.opts.describeApp())
}

// describeApp says by what the application is told apart from others.
func (o *Options) describeApp() string {
	return fmt.Sprintf("%q in %q, environment %q, user %q, group %q", o.App.Name(), o.App.Root, o.App.Environment,
		o.App.User, o.App.Group)
}

// errRestartReplaced is what an observer is told of a restart that did not come to
// its end.
var errRestartReplaced = errors.New("passenger: another restart has begun")

// restart is one that goes on.
type restart struct {
	rolling bool
	// id, began and generation are those of the observer's events.
	id         uint64
	began      time.Time
	generation uint32
	// draining counts the old processes that are detached and not gone.
	draining int
	// done are told how it ended.
	done []func(error)
}

// beginRestart replaces the group's release, and gives up on a restart that
// goes on, whose callers then wait for this one.
func (g *group) beginRestart(fx *effects, o *RestartOptions, done func(error)) {
	r := &restart{}
	if g.restart != nil {
		r.done = g.restart.done
	}

	if done != nil {
		r.done = append(r.done, done)
	}

	if o.Options != nil {
		g.opts = o.Options.clone()
	}

	r.rolling = o.Method == RestartRolling || o.Method == RestartDefault && !g.opts.BlockingRestarts
	g.cancelAttemptsLocked()
	g.retireReleaseLocked(g.release)
	g.openReleaseLocked(g.release.generation + 1)
	if g.restart != nil {
		g.observeRestartEnded(fx, g.restart, errRestartReplaced)
	}

	g.restart, g.deploymentError, g.failures = r, nil, 0
	g.observeRestartBegan(fx, r)
	g.stopRetryLocked()
	if !r.rolling {
		for _, l := range []*list[process]{&g.enabled, &g.disabling, &g.disabled} {
			for pr := range l.all {
				g.detach(fx, pr)
				g.startDrainTimerLocked(pr)
			}
		}
	}

	fx.log(g.pool, "Restarting", "app", g.name, "generation", g.release.generation, "rolling", r.rolling)
	g.reconcile(fx)
}

// continueRestart brings a restart as far as it can come now.
func (g *group) continueRestart(fx *effects) {
	r := g.restart
	if r == nil {
		return
	}

	old := g.oldProcesses()
	if !r.rolling || old == 0 {
		if g.processCount() > 0 || len(g.attempts) == 0 && !g.wantsProcess() {
			g.endRestart(fx, nil)
		}

		return
	}

	for len(g.attempts) < old && len(g.attempts)+r.draining < g.opts.restartBatch() {
		g.startSpawnLocked(true)
	}
}

func (g *group) endRestart(fx *effects, err error) {
	for _, f := range g.restart.done {
		fx.after(func() { f(err) })
	}

	g.observeRestartEnded(fx, g.restart, err)
	g.restart = nil
	g.pool.scheduleIdleCheckLocked()
}

// isResisting reports whether old processes serve on, since the new release does not
// start, and nothing is started for them.
func (g *group) isResisting() bool { return g.deploymentError != nil && g.oldProcesses() > 0 }

// failRestart calls a restart off of which a new process did not start.
func (g *group) failRestart(fx *effects, err error) {
	if g.restart == nil {
		return
	}

	if g.restart.rolling && g.oldProcesses() > 0 {
		g.cancelAttemptsLocked()
		g.deploymentError = &DeploymentError{Err: err, At: time.Now()}
		fx.log(g.pool, "Resisting a deployment error: the old processes serve on", "app", g.name, "error", err.Error())
		err = g.deploymentError
	}

	g.endRestart(fx, err)
}

// detachReplaced detaches the old process that a new one has come for.
func (g *group) detachReplaced(fx *effects, by *process) {
	var victim *process
	for pr := range g.allProcesses {
		if pr.generation != g.release.generation && (victim == nil || pr.busyness() < victim.busyness()) {
			victim = pr
		}
	}

	if victim == nil {
		// They have died meanwhile, and their room may be taken, or forbidden by now.
		tooMany := g.opts.MaxProcesses > 0 && g.processCount() > g.opts.MaxProcesses
		if tooMany || g.pool.capacityUsed > g.pool.cfg.MaxPoolSize {
			g.detach(fx, by)
		}

		return
	}

	if g.restart != nil {
		g.restart.draining++
		victim.drainedFor = g.restart
	}

	g.detach(fx, victim)
	g.startDrainTimerLocked(victim)
}

// oldProcesses counts those that a restart has to replace.
func (g *group) oldProcesses() (n int) {
	for pr := range g.allProcesses {
		if pr.generation != g.release.generation {
			n++
		}
	}

	return n
}

// allProcesses yields the processes that are not detached.
func (g *group) allProcesses(yield func(*process) bool) {
	for _, l := range []*list[process]{&g.enabled, &g.disabling, &g.disabled} {
		for pr := range l.all {
			if !yield(pr) {
				return
			}
		}
	}
}
