package passenger

import (
	"context"
	"math/bits"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// The pool's own attempts after a failure are spaced: the first after
// backoffMin, each further one after twice the time, up to backoffMax. A
// process that starts ends the row, unless it ends by itself before it got a
// request and before it lived for healthyAfter: then the row goes on.
const (
	backoffMin   = time.Second
	backoffMax   = time.Minute
	healthyAfter = time.Minute
)

// updateClaimLocked puts the group among those that want a process, or takes it out.
func (g *group) updateClaimLocked() {
	p := g.pool
	switch {
	case !g.wantsProcess():
		g.claim.leave()
	case g.isStarving():
		g.claimFromLocked(&p.starving)
	default:
		g.claimFromLocked(&p.hungry)
	}
}

func (g *group) claimFromLocked(l *list[group]) {
	if g.claim.in != l {
		g.claim.leave()
		l.push(&g.claim, g)
	}
}

// startSpawnLocked starts a process. There is room for it, unless it replaces one.
//
//nolint:contextcheck,nolintlint // a spawn is the pool's, and outlives what has caused it
func (g *group) startSpawnLocked(replaces bool) {
	p := g.pool
	g.claim.leave()
	ctx, cancel := context.WithCancelCause(p.spawnCtx)
	a := &spawnAttempt{
		group:    g,
		release:  g.release,
		replaces: replaces,
		cancel:   cancel,
	}
	if g.restart != nil {
		a.restartID = g.restart.id
	}

	g.attempts = append(g.attempts, a)
	a.release.attempts++
	if !replaces {
		p.capacityUsed++
	}

	p.wg.Go(func() { a.run(ctx) })
}

// wantsProcess: someone waits or the minimum is not reached, and nothing but
// the pool's capacity stands in the way. One process is started at a time.
func (g *group) wantsProcess() bool {
	used := g.capacityUsed()
	switch {
	case len(g.attempts) > 0 || g.removed || g.pool.state == poolClosed || g.isResisting():
		return false
	case g.opts.MaxProcesses > 0 && used >= g.opts.MaxProcesses:
		return false
	case g.enabled.len() == 0 && g.disabling.len() > 0:
		return true // they cannot be disabled before
	case g.queue.len() == 0 && (used >= g.minimum() || g.pool.state == poolDraining):
		return false
	}

	if g.queue.len() > 0 && g.enabled.len() == 0 {
		return true // nobody else can serve them: a request's own attempt
	}

	return !g.retry.running()
}

// isStarving reports whether someone waits, and no process is there or coming.
func (g *group) isStarving() bool {
	return (g.queue.len() > 0 || g.hasStartWithoutProcess()) && len(g.attempts) == 0 && g.enabled.len()+g.disabling.len() == 0
}

// removeAttemptLocked takes an attempt out of the account.
func (g *group) removeAttemptLocked(a *spawnAttempt) {
	i := slices.Index(g.attempts, a)
	if i < 0 {
		return
	}

	g.attempts = slices.Delete(g.attempts, i, i+1)
	if !a.replaces {
		g.pool.capacityUsed--
	}
}

// cancelAttemptsLocked ends the spawns that go on.
func (g *group) cancelAttemptsLocked() {
	for len(g.attempts) > 0 {
		a := g.attempts[0]
		a.canceled = true
		a.cancel(errSpawnCanceled)
		g.removeAttemptLocked(a)
	}
}

// endAttemptLocked is when nothing of an attempt is left but the process that was attached.
func (g *group) endAttemptLocked(a *spawnAttempt) {
	a.release.attempts--
	g.schedulePreloaderStopLocked(a.release)
	g.closeRetiredLocked(a.release)
}

// finishSpawn takes the result of an attempt. attached: the process is the group's; else
// there is none, or it is unwanted.
func (g *group) finishSpawn(fx *effects, a *spawnAttempt, proc spawner.Process, err error) (attached bool) {
	g.removeAttemptLocked(a)
	if a.canceled || g.pool.state == poolClosed {
		return false
	}

	if err == nil {
		g.deploymentError, g.lastFailure = nil, nil
		pr := g.attach(fx, proc, a.release.generation)
		pr.failedBefore, g.failures = g.failures, 0
		g.stopRetryLocked()
		pr.root = a.release.root
		g.publishReleaseDirsLocked()

		if a.replaces {
			g.detachReplaced(fx, pr)
		}

		g.reconcile(fx)

		return true
	}

	g.lastFailure = newSpawnFailure(a.failure, err)
	g.pool.rememberFailureLocked(a.failure)
	g.fireSpawnFailed(fx, a.failure, err)
	g.countFailureLocked()
	g.failRestart(fx, err)
	g.failStartsLocked(err)

	switch {
	case g.enabled.len() > 0:
	case g.isResisting():
		g.unblockWaiters(fx)
	case g.disabling.len() > 0:
		g.cancelDisabling(fx, err)
	default:
		g.failQueue(fx, err)
	}

	g.reconcile(fx)

	return false
}

func newSpawnFailure(f *FailedSpawn, err error) *SpawnFailure {
	return &SpawnFailure{
		At:      f.At,
		Summary: f.Summary,
		ID:      f.ID,
		Err:     err,
	}
}

func (g *group) countFailureLocked() {
	p := g.pool
	if p.state == poolClosed {
		return
	}

	g.failures++
	wait := backoffMax
	if n := g.failures - 1; n < bits.Len(uint(backoffMax/backoffMin)) {
		wait = min(backoffMin<<n, backoffMax)
	}

	g.stopRetryLocked()
	g.retry = p.startTimerLocked(wait, g.reconcile)
}

func (g *group) stopRetryLocked() { g.pool.stopTimerLocked(g.retry) }

// countEarlyExitLocked is about a process that ended by itself: one that was of no use counts as
// a failed start, after those before it.
func (g *group) countEarlyExitLocked(pr *process) {
	if pr.processed > 0 || pr.sessions > 0 || time.Since(pr.info.SpawnEnded) >= healthyAfter {
		return
	}

	g.failures = max(g.failures, pr.failedBefore)
	g.countFailureLocked()
}

// spawnAttempt is one spawn that goes on without the lock.
type spawnAttempt struct {
	group   *group
	release *release
	// replaces: the process takes the place of another one, so that the
	// attempt needs no room of its own.
	replaces bool
	// canceled: nobody wants its process any more; cancel ends the spawn then.
	canceled bool
	cancel   context.CancelCauseFunc
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

		g.pool.update(func(*effects) { g.endAttemptLocked(a) })
	}()
	defer func() {
		if a.err != nil {
			a.failure = a.newFailedSpawn(a.err)
		}

		g.pool.update(func(fx *effects) { attached = g.finishSpawn(fx, a, a.proc, a.err) })
	}()

	a.err = errNotSpawned
	a.spawnObserved(ctx)
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
