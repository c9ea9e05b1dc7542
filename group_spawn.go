package passenger

import (
	"math/bits"
	"slices"
	"time"

	"github.com/gopassenger/passenger/spawner"
)

// The pool's own attempts after a failure are spaced: the first after
// backoffMin, each further one after twice the time, up to backoffMax. A
// process that lived for healthyAfter, or got a request, ends the row.
const (
	backoffMin   = time.Second
	backoffMax   = time.Minute
	healthyAfter = time.Minute
)

// stakeClaim puts the group among those that want a process, or takes it out.
func (g *group) stakeClaim() {
	p := g.pool
	switch {
	case !g.wantsProcess():
		g.claim.leave()
	case g.isStarving():
		g.claimIn(&p.starving)
	default:
		g.claimIn(&p.hungry)
	}
}

func (g *group) claimIn(l *list[group]) {
	if g.claim.in != l {
		g.claim.leave()
		l.push(&g.claim, g)
	}
}

// startSpawn starts a process. There is room for it, unless it replaces one.
func (g *group) startSpawn(replaces bool) {
	p := g.pool
	g.claim.leave()
	a := &spawnAttempt{group: g, release: g.release, replaces: replaces}
	g.attempts = append(g.attempts, a)
	a.release.attempts++
	if !replaces {
		p.capacityUsed++
	}
	p.wg.Go(a.run)
}

// wantsProcess: someone waits or the minimum is not reached, and nothing but
// the pool's capacity stands in the way. One process is started at a time.
func (g *group) wantsProcess() bool {
	used := g.capacityUsed()
	switch {
	case len(g.attempts) > 0 || g.removed || g.pool.state == poolClosed:
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
	return !g.retry.running() && g.resisted == nil
}

// isStarving reports whether someone waits, and no process is there or coming.
func (g *group) isStarving() bool {
	return (g.queue.len() > 0 || g.hasUnmetStart()) && len(g.attempts) == 0 && g.enabled.len()+g.disabling.len() == 0
}

// forget takes an attempt out of the account.
func (g *group) forget(a *spawnAttempt) {
	i := slices.Index(g.attempts, a)
	if i < 0 {
		return
	}
	g.attempts = slices.Delete(g.attempts, i, i+1)
	if !a.replaces {
		g.pool.capacityUsed--
	}
}

// giveUpAttempts lets the spawns that go on end for nothing.
func (g *group) giveUpAttempts() {
	for len(g.attempts) > 0 {
		a := g.attempts[0]
		a.givenUp = true
		g.forget(a)
	}
}

// spawned takes the result of an attempt.
func (g *group) spawned(fx *effects, a *spawnAttempt, proc spawner.Process, err error) {
	g.forget(a)
	a.release.attempts--
	g.stopPreloaderLater(a.release)
	g.closeRetired(a.release)
	if a.givenUp || g.pool.state == poolClosed {
		if proc != nil {
			fx.stop(g.pool, proc)
		}
		return
	}
	if err == nil {
		g.resisted, g.lastFailure = nil, nil
		pr := g.attach(fx, proc, a.release.generation)
		pr.root = a.release.root
		g.noteReleaseDirs()

		if a.replaces {
			g.replaceOld(fx, pr)
		}
		g.settle(fx)
		return
	}
	g.lastFailure = newSpawnFailure(a.failure, err)
	g.pool.remember(a.failure)
	g.fireSpawnFailed(fx, a.failure, err)
	g.countFailure()
	g.restartFailed(fx, err)
	g.failStarts(err)
	switch {
	case g.enabled.len() > 0:
	case g.disabling.len() > 0:
		g.cannotDisable(fx)
	default:
		g.failQueue(fx, err)
	}
	g.settle(fx)
}

func newSpawnFailure(f *FailedSpawn, err error) *SpawnFailure {
	return &SpawnFailure{At: f.At, Summary: f.Summary, ID: f.ID, Err: err}
}

// closeRetired closes the spawner of a release that nothing is started from any
// more.
func (g *group) closeRetired(r *release) {
	if r.retired {
		g.pool.stopTimer(r.preloaderStop)
	}
	if r.retired && r.attempts == 0 && g.pool.state != poolClosed {
		g.pool.wg.Go(func() {
			if err := r.close(); err != nil {
				g.pool.cfg.Logger.Error(err, "cannot stop the spawner of an earlier release", "app", g.name)
			}
		})
	}
}

func (g *group) countFailure() {
	p := g.pool
	if p.state == poolClosed {
		return
	}
	g.failures++
	wait := backoffMax
	if n := g.failures - 1; n < bits.Len(uint(backoffMax/backoffMin)) {
		wait = min(backoffMin<<n, backoffMax)
	}
	g.stopRetry()
	g.retry = p.startTimer(wait, g.settle)
}

func (g *group) stopRetry() { g.pool.stopTimer(g.retry) }

// countDeath is about a process that ended by itself: one that never got a
// request counts as a failed start.
func (g *group) countDeath(pr *process) {
	if pr.processed > 0 || pr.sessions > 0 || time.Since(pr.info.SpawnEnded) >= healthyAfter {
		g.failures = 0
		g.stopRetry()
		return
	}
	g.countFailure()
}
