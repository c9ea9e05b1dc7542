package passenger

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// The pool spaces its own attempts after a failure: it waits backoffMin before the first, and twice
// as long before each further one, up to backoffMax. A process that starts ends the series, unless
// it ends by itself before its first request and before healthyAfter.
const (
	backoffMin   = time.Second
	backoffMax   = time.Minute
	healthyAfter = time.Minute
)

// updateClaimLocked puts the group on the list of those that want a process, or takes it off.
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

// startAttemptLocked starts a process. The pool must have room for one that replaces none.
func (g *group) startAttemptLocked(kind attemptKind) {
	p := g.pool
	g.claim.leave()
	a := g.newAttemptLocked(kind)
	g.attempts = append(g.attempts, a)
	if kind == spawnsNew {
		p.capacityUsed++
	}
}

// startCheckLocked begins to find out whether a process could be started. The group keeps its place among those that
// wait for room, and nothing of the attempt counts but a fault that it finds.
func (g *group) startCheckLocked() {
	g.pool.checks++
	g.release.check = g.newAttemptLocked(checksOnly)
}

// newAttemptLocked begins an attempt.
//
//nolint:contextcheck,nolintlint // a spawn belongs to the pool, and outlives the call that caused it
func (g *group) newAttemptLocked(kind attemptKind) *spawnAttempt {
	p := g.pool
	ctx, cancel := context.WithCancelCause(p.spawnCtx)
	a := &spawnAttempt{
		group:   g,
		release: g.release,
		kind:    kind,
		cancel:  cancel,
		began:   time.Now(),
	}
	if g.restart != nil {
		a.restartID = g.restart.id
	}

	a.release.attempts++
	p.wg.Go(func() { a.run(ctx) })

	return a
}

// wantsProcess reports whether a get waits or the minimum is not reached, and only the capacity of
// the pool can prevent a spawn. Processes are started one at a time.
func (g *group) wantsProcess() bool {
	used := g.capacityUsed()
	switch {
	case len(g.attempts) > 0 || g.removed || g.pool.state == poolClosed || g.isResisting():
		return false
	case g.opts.MaxProcesses > 0 && used >= g.opts.MaxProcesses:
		return false
	case g.enabled.len() == 0 && g.disabling.len() > 0:
		return true // the one that is being disabled needs a successor
	case g.queue.len() == 0 && (used >= g.minimum() || g.pool.state == poolDraining):
		return false
	}

	if g.queue.len() > 0 && g.enabled.len() == 0 {
		return true // no process can serve the gets, so the back-off does not apply
	}

	return !g.retry.running()
}

// isStarving reports whether a get or a start waits, and no process is there or being started.
func (g *group) isStarving() bool {
	return (g.queue.len() > 0 || g.hasStartWithoutProcess()) && len(g.attempts) == 0 &&
		g.enabled.len()+g.disabling.len() == 0
}

// removeAttemptLocked stops counting an attempt.
func (g *group) removeAttemptLocked(a *spawnAttempt) {
	i := slices.Index(g.attempts, a)
	if i < 0 {
		return
	}

	g.attempts = slices.Delete(g.attempts, i, i+1)
	if a.kind == spawnsNew {
		g.pool.capacityUsed--
	}
}

// cancelAttemptsLocked cancels the spawns in progress. Their goroutines stop the processes they may
// still get.
func (g *group) cancelAttemptsLocked() {
	if a := g.release.check; a != nil {
		a.canceled = true
		a.cancel(errSpawnCanceled)
		g.endCheckLocked(a)
	}

	for len(g.attempts) > 0 {
		a := g.attempts[0]
		a.canceled = true
		a.cancel(errSpawnCanceled)
		g.removeAttemptLocked(a)
	}
}

// endAttemptLocked follows when nothing of an attempt is left, except a process that was attached.
func (g *group) endAttemptLocked(a *spawnAttempt) {
	a.release.attempts--
	g.schedulePreloaderStopLocked(a.release)
	g.closeRetiredLocked(a.release)
}

// finishSpawn takes the result of an attempt and reports whether it attached the process. If not,
// the caller stops the process, if there is one.
func (g *group) finishSpawn(fx *effects, a *spawnAttempt, proc spawner.Process, err error) (attached bool) {
	g.removeAttemptLocked(a)
	if a.kind == checksOnly {
		g.endCheckLocked(a)
		a.release.checked = err == nil
		if err == nil || g.release != a.release || !g.isStarving() {
			g.reconcile(fx)
			return false
		}
	}

	// A late result says nothing about the release in use.
	if a.canceled || g.pool.state == poolClosed {
		return false
	}

	g.counts.spawned(&a.release.app, time.Since(a.began), err)

	a.release.failure, a.release.failedAt = err, g.pool.now()

	if err == nil {
		g.deploymentError, g.lastFailure = nil, nil
		pr := g.attach(fx, proc, a.release.generation)
		// They are put back if the process ends at once: see countEarlyExitLocked.
		pr.failedBefore, g.failures = g.failures, 0
		g.stopRetryLocked()

		pr.root = a.release.root
		g.publishReleaseDirsLocked()

		// Only now that the new process serves may the old one go.
		if a.kind == spawnsReplacement {
			g.detachReplaced(fx, pr)
		}

		g.reconcile(fx)

		return true
	}

	if a.removed && g.pool.state == poolOpen {
		g.restartRemoved(fx, a.release, err)
		return false
	}

	g.lastFailure = newSpawnFailure(a.failure, err)
	g.pool.rememberFailureLocked(a.failure)
	g.fireSpawnFailed(fx, a.failure, err)
	g.countFailureLocked()
	g.failRestart(fx, err)
	g.failStartsLocked(err)

	// Gets fail only if no process is left that can serve them.
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

// endCheckLocked stops counting a check.
func (g *group) endCheckLocked(a *spawnAttempt) {
	if a.release.check == a {
		g.pool.checks--
		a.release.check = nil
	}
}

func newSpawnFailure(f *FailedSpawn, err error) *SpawnFailure {
	return &SpawnFailure{
		At:      f.At,
		Summary: f.Summary,
		ID:      f.ID,
		Err:     err,
	}
}

// countFailureLocked delays the pool's own next attempt.
func (g *group) countFailureLocked() {
	p := g.pool
	if p.state == poolClosed {
		return
	}

	g.failures++
	wait := backoffMax
	// A shift by more would exceed the maximum, and overflow some day.
	if n := g.failures - 1; n < bits.Len(uint(backoffMax/backoffMin)) {
		wait = min(backoffMin<<n, backoffMax)
	}

	g.stopRetryLocked()
	g.retry, g.retryAt = p.startTimerLocked(wait, g.reconcile), p.now()+wait
}

func (g *group) stopRetryLocked() { g.pool.stopTimerLocked(g.retry) }

// countEarlyExitLocked counts a process that ended by itself as a failed spawn if it was of no use,
// following those before it. One that crashed in its first request is none, and still costs other
// applications no process.
func (g *group) countEarlyExitLocked(pr *process) {
	if pr.processed > 1 || time.Since(pr.info.SpawnEnded) >= healthyAfter {
		return
	}

	if status := pr.proc.ExitStatus(); status != cleanExit && pr.generation == g.release.generation {
		g.release.failure = fmt.Errorf("%w: process %d of %s: %s", ErrCrashed, pr.info.PID, g.name, status)
		g.release.failedAt = g.pool.now()
	}

	if pr.processed > 0 || pr.sessions > 0 {
		return
	}

	g.failures = max(g.failures, pr.failedBefore)
	g.countFailureLocked()
}

// attemptKind is what a spawnAttempt does.
type attemptKind int

const (
	// spawnsNew takes room in the pool.
	spawnsNew attemptKind = iota
	// spawnsReplacement takes the place of another process, and needs no room of its own.
	spawnsReplacement
	// checksOnly starts nothing: the spawner says whether it could.
	checksOnly
)

// spawnAttempt is a spawn in progress. It runs without the lock.
type spawnAttempt struct {
	group   *group
	release *release
	kind    attemptKind
	// canceled means that the process will not be attached; cancel ends the spawn then.
	canceled bool
	cancel   context.CancelCauseFunc
	began    time.Time
	// restartID is the ID of the restart it is part of, for observers.
	restartID uint64
	// proc and err are the result; both may be set. failure describes err, and is nil without one.
	proc    spawner.Process
	err     error
	failure *FailedSpawn
	// removed is release.isRemoved after a failure.
	removed bool
}

// run spawns a process and hands it to the group.
func (a *spawnAttempt) run(ctx context.Context) {
	g := a.group
	defer a.cancel(nil)

	// Deferred, since an observer or a callback may panic or end this goroutine.
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
			a.removed = a.release.isRemoved(g.pool)
		}

		g.pool.update(func(fx *effects) { attached = g.finishSpawn(fx, a, a.proc, a.err) })
	}()

	a.err = errNotSpawned
	a.runObserved(ctx)
}

// check returns the error that a spawn would fail with, as far as the spawner can tell.
func (a *spawnAttempt) check(ctx context.Context) error {
	s, err := a.release.prepare(a.group.pool)
	if err != nil {
		return err
	}

	if s, ok := s.(spawner.Checking); ok {
		return s.Check(ctx)
	}

	return nil
}

// spawn returns a process that started and was not confirmed together with the error.
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

	if err := checkProcess(proc); err != nil {
		if proc != nil {
			proc.Stop(p.killCtx) //nolint:contextcheck // the end of the spawn must not cut the Stop short
		}

		return nil, err
	}

	// Any Spawner may have made the process: one that does not pass the checks gets no request.
	confirm := spawner.Config{Logger: p.cfg.Logger, Version: Version}

	return proc, spawner.Confirm(ctx, &confirm, a.release.app, proc)
}
