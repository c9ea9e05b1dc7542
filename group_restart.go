package passenger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RestartMethod selects what happens to requests while an application restarts.
type RestartMethod uint8

// The restart methods.
const (
	// RestartDefault is RestartRolling, or RestartBlocking with Options.BlockingRestarts.
	RestartDefault RestartMethod = iota
	// RestartRolling starts each new process before an old one stops taking requests. If a new
	// process does not start, the old ones keep serving.
	RestartRolling
	// RestartBlocking stops routing requests to the old processes at once. They finish the requests
	// they have; others wait for the first new process.
	RestartBlocking
)

// RestartOptions select how to restart. The zero value is usable.
type RestartOptions struct {
	Method RestartMethod
	// Options replace those of the application; nil keeps them. Their App must name the same
	// application: the same name, root, user, group and environment.
	Options *Options
	// Allowed reports whether an application may be restarted; nil allows each. An application that
	// may not is skipped as if it did not exist. Allowed must not call the pool.
	Allowed func(AppIdentity) bool
}

// Restart restarts the applications of this group name and waits until their new processes serve:
// all of them in a rolling restart, the first one in a blocking restart. An application without a
// process, a minimum and waiting gets starts no process.
//
// Errors: ErrNoSuchApp; *spawner.SpawnError when a new process does not start, wrapped in a
// *DeploymentError when old ones keep serving; ErrPoolFull when there is neither an old process nor
// room for a new one, which then starts later; ErrAppDetached; ErrClosed; those of
// o.Options.Validate, one for Options of another application, and one for a Method that does not
// exist, all of which restart nothing; that of ctx, in which case the restart continues. The errors
// of several applications are joined.
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

// RestartAppRoot is Restart for all applications in this directory. It returns their number, which
// may be 0.
func (p *Pool) RestartAppRoot(ctx context.Context, root string, o RestartOptions) (int, error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.opts.App.Root == root })
	if err != nil {
		return 0, err
	}

	return len(results), results.wait(ctx)
}

// BeginRestart begins to restart the applications of this group name and returns their number,
// which may be 0. wait does the rest of Restart; calling it is optional.
//
// Errors: ErrClosed, and those of o.Options and o.Method as for Restart.
func (p *Pool) BeginRestart(name string, o RestartOptions) (n int, wait func(context.Context) error, err error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.name == name })

	return len(results), results.wait, err
}

// restartResults receive the results of restarts, one value each.
type restartResults []chan error

func (r restartResults) wait(ctx context.Context) error {
	var errs []error
	for _, result := range r {
		select {
		case err := <-result:
			result <- err // wait may be called again
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return errors.Join(errs...)
}

// beginRestarts begins to restart the groups that match.
func (p *Pool) beginRestarts(o RestartOptions, match func(*group) bool) (results restartResults, err error) {
	if o.Method > RestartBlocking {
		return nil, fmt.Errorf("passenger: cannot restart by the method %d: use RestartDefault, RestartRolling or "+
			"RestartBlocking", o.Method)
	}

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

		// All are checked before the first is changed: either all restart or none.
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

		// The order of the results, of what is logged and of the errors.
		slices.SortFunc(groups, func(a, b *group) int {
			return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.opts.App.Root, b.opts.App.Root))
		})

		for _, g := range groups {
			result := make(chan error, 1)
			results = append(results, result)
			g.beginRestart(fx, &o, func(err error) { result <- err })
		}
	})

	return results, err
}

func errOtherApp(o *Options, g *group) error {
	return fmt.Errorf("passenger: cannot restart %s with the options of another application: they name %s, and must "+
		"name %s", g.name, o.describeApp(), g.opts.describeApp())
}

// describeApp names the application by what tells it from others.
func (o *Options) describeApp() string {
	return fmt.Sprintf("%q in %q, environment %q, user %q, group %q", o.App.Name(), o.App.Root, o.App.Environment,
		o.App.User, o.App.Group)
}

// restart is a restart in progress.
type restart struct {
	rolling bool
	// id, began and generation are those of its events.
	id         uint64
	began      time.Time
	generation uint32
	// draining is the number of replaced processes that have not ended.
	draining int
	// done are called with the result.
	done []func(error)
}

// beginRestart replaces the release of the group. It also replaces a restart in progress, whose
// callers then wait for this one.
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

	// Spawns in progress would give processes of the old release.
	g.cancelAttemptsLocked()
	g.retireReleaseLocked(g.release)
	g.openReleaseLocked(g.release.generation + 1)

	if g.restart != nil {
		g.counts.restarted(errRestartReplaced)
		g.observeRestartEnded(fx, g.restart, errRestartReplaced)
	}

	g.restart, g.deploymentError, g.failures = r, nil, 0
	g.observeRestartBegan(fx, r)
	g.stopRetryLocked()

	if !r.rolling {
		for pr := range g.allProcesses {
			g.detach(fx, pr)
			g.startDrainTimerLocked(pr)
		}
	}

	fx.log(g.pool, "restarting", "app", g.name, "generation", g.release.generation, "rolling", r.rolling)
	g.reconcile(fx)
}

// continueRestart takes the next steps of a restart: it ends the restart, or starts as many
// replacements as the batch size allows.
func (g *group) continueRestart(fx *effects) {
	r := g.restart
	if r == nil {
		return
	}

	old := g.oldProcesses()
	if !r.rolling || old == 0 {
		// Without a process, the restart waits for one that is being started or claimed.
		if g.processCount() > 0 || len(g.attempts) == 0 && !g.wantsProcess() {
			g.endRestart(fx, nil)
		}

		return
	}

	// Processes that are draining count, or the batch would use more memory than its size allows.
	for len(g.attempts) < old && len(g.attempts)+r.draining < g.opts.restartBatch() {
		g.startAttemptLocked(spawnsReplacement)
	}
}

// endRestart reports the result of the restart in progress.
func (g *group) endRestart(fx *effects, err error) {
	for _, f := range g.restart.done {
		fx.after(func() { f(err) })
	}

	g.counts.restarted(err)
	g.observeRestartEnded(fx, g.restart, err)
	g.restart = nil
	g.pool.scheduleIdleCheckLocked()
}

// isResisting reports whether old processes keep serving because the new release does not start.
// Then the pool starts none of the new release.
func (g *group) isResisting() bool { return g.deploymentError != nil && g.oldProcesses() > 0 }

// failRestart ends the restart in progress, if any, after a failed spawn.
func (g *group) failRestart(fx *effects, err error) {
	if g.restart == nil {
		return
	}

	if g.restart.rolling && g.oldProcesses() > 0 {
		// The others of the batch start from the same release.
		g.cancelAttemptsLocked()
		g.deploymentError = &DeploymentError{Err: err, At: time.Now()}
		fx.log(g.pool, "resisting a deployment error: old processes keep serving", "app", g.name, "error", err.Error())
		err = g.deploymentError
	}

	g.endRestart(fx, err)
}

// detachReplaced detaches the least busy old process after the process by has replaced it.
func (g *group) detachReplaced(fx *effects, by *process) {
	var victim *process
	for pr := range g.allProcesses {
		if pr.generation != g.release.generation && (victim == nil || pr.busyness() < victim.busyness()) {
			victim = pr
		}
	}

	if victim == nil {
		// The old ones have died, so the new process may be one more than the limits allow now.
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

// oldProcesses is the number of processes of earlier releases.
func (g *group) oldProcesses() (n int) {
	for pr := range g.allProcesses {
		if pr.generation != g.release.generation {
			n++
		}
	}

	return n
}
