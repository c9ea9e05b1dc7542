package passenger

import (
	"context"
	"fmt"
	"slices"

	"github.com/gopassenger/passenger/hooks"
)

// DetachProcess takes a process, named by its GUPID or PID, out of the pool: it finishes its
// requests and ends. Another process takes its place if one is needed.
//
// Errors: ErrNoSuchProcess, ErrClosed.
func (p *Pool) DetachProcess(id string) error {
	return p.withProcess(id, func(fx *effects, pr *process) { pr.group.detachAndReconcile(fx, pr) })
}

// DetachApp takes the applications of this group name out of the pool and waits until nothing is
// left of them. Processes finish their requests and end; spawns in progress and preloaders are
// ended. Gets in the queue fail with ErrAppDetached; a later get starts the application again. It
// also waits for what an earlier call, whose context had ended, left behind.
//
// Errors: ErrNoSuchApp; ErrClosed; that of ctx, in which case the processes end later.
func (p *Pool) DetachApp(ctx context.Context, name string) error {
	var leaving []*group
	var err error
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}

		first := p.groups[name]
		delete(p.groups, name)

		for g := first; g != nil; g = g.namesake {
			g.byAdmin = true
			g.remove(fx)
		}

		// Those of an earlier call may still be there, if its context has ended.
		for _, g := range p.leaving {
			if g.name == name {
				leaving = append(leaving, g)
			}
		}

		if len(leaving) == 0 {
			err = fmt.Errorf("%w: %s", ErrNoSuchApp, name)
		}
	})
	if err != nil {
		return err
	}

	for _, g := range leaving {
		select {
		case <-g.gone:
		case <-p.closed: // nothing is left of any application
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

// remove takes the group out of use. It leaves the pool when nothing is left of it.
func (g *group) remove(fx *effects) {
	g.removed = true
	g.pool.leaving = append(g.pool.leaving, g)
	g.forgetReleaseDirs()
	g.vacancy.leave()
	g.fire(fx, hooks.Event{Name: hooks.BeforeDestroySupergroup})

	// Nothing may start from here on.
	g.claim.leave()
	g.stopRetryLocked()
	g.cancelAttemptsLocked()
	g.retireReleaseLocked(g.release)
	if g.restart != nil {
		g.endRestart(fx, ErrAppDetached)
	}

	for pr := range g.allProcesses {
		g.detach(fx, pr)
	}

	g.failQueue(fx, ErrAppDetached)
	g.failStartsLocked(ErrAppDetached)
}

// detachAndReconcile detaches a process and lets others take its place.
func (g *group) detachAndReconcile(fx *effects, pr *process) {
	if pr.state == stateDetached {
		return
	}

	g.detach(fx, pr)
	g.reconcile(fx)
}

// detach takes a process out of the pool: it gets no more requests, and ends when its sessions
// have.
func (g *group) detach(fx *effects, pr *process) {
	for i := range pr.sockets {
		pr.sockets[i].closeIdle(fx)
	}

	pr.idle.leave()
	pr.callOnDetach(fx)
	pr.closeAbandoned(fx)

	// Its waiters move to the queue with the state, before the sticky ID goes.
	pr.moveTo(fx, stateDetached)
	pr.callOnDisabled(fx, ErrProcessDetached)
	delete(g.sticky, pr.stickyID)
	if !pr.hookWaits {
		g.fireProcess(fx, hooks.DetachedProcess, pr)
	}

	g.observeProcess(fx, Observer.ProcessDetached, pr)
	g.continueDrain(fx, pr)
}

// continueDrain brings a detached process nearer to its end. The process is stopped when it has no
// session, or at once when the pool is closed, and leaves the group when it has no session and has
// ended. A restart that waits for it continues when it has ended, or when only long sessions keep
// it.
func (g *group) continueDrain(fx *effects, pr *process) {
	if pr.sessions == 0 || pr.exited || g.pool.state == poolClosed {
		// Also one that has ended: Stop removes the files and children that it left.
		g.stopProcess(fx, pr)
	}

	// A WebSocket may stay for days, and must not hold up a restart so long.
	onlyLong := pr.keepsSessions() && pr.sessions > 0 && pr.sessions == len(pr.onDetach)
	if !pr.exited && !onlyLong {
		return
	}

	if r := pr.drainedFor; r != nil {
		pr.drainedFor = nil
		r.draining--
		if r == g.restart {
			g.reconcile(fx)
		}
	}

	if pr.exited && pr.sessions == 0 {
		pr.member.leave()
		g.updateVacancyLocked()
		g.forgetIfGoneLocked()
	}
}

// forgetIfGoneLocked takes a removed group out of the pool when nothing is left of it.
func (g *group) forgetIfGoneLocked() {
	if !g.removed || g.detached.len() > 0 || len(g.openReleases) > 0 {
		return
	}

	p := g.pool
	if i := slices.Index(p.leaving, g); i >= 0 {
		p.leaving = slices.Delete(p.leaving, i, i+1)
		close(g.gone)
	}
}

// removeReleaseLocked forgets a release whose spawner is closed.
func (g *group) removeReleaseLocked(r *release) {
	g.openReleases = slices.DeleteFunc(g.openReleases, func(other *release) bool { return other == r })
	g.forgetIfGoneLocked()
}

func (g *group) stopProcess(fx *effects, pr *process) {
	// The recorder looks at it: endRecording stops it afterwards.
	if pr.recording && !pr.exited {
		pr.stopWaits = true
		return
	}

	if !pr.stopping {
		pr.stopping = true
		g.pool.stopTimerLocked(pr.drain)
		fx.stop(g.pool, pr.proc)
	}
}

// startDrainTimerLocked limits the time that a detached process has for its sessions.
func (g *group) startDrainTimerLocked(pr *process) {
	limit := g.opts.drainTimeout()
	if pr.stopping || limit < 0 || g.pool.state == poolClosed {
		return
	}

	// Options.KeepLongSessions exempts a process until its last long session is over.
	pr.drain = g.pool.startTimerLocked(limit, func(fx *effects) {
		if pr.overdue = pr.keepsSessions() && len(pr.onDetach) > 0; !pr.overdue {
			g.stopOverdue(fx, pr)
		}
	})
}

// stopOverdue stops a process whose drain timeout is over.
func (g *group) stopOverdue(fx *effects, pr *process) {
	if pr.stopping {
		return
	}

	g.counts.Limits.DrainTime++
	stop := func(fx *effects, at recorded) {
		fx.log(g.pool, "stopping a process after its drain timeout", at.with("app", g.name, "pid", pr.info.PID,
			"sessions", pr.sessions)...)
		g.stopProcess(fx, pr)
	}

	// A stream of events lasts for as long as its client likes, which is no fault of the process.
	if pr.sessions == pr.longSessions {
		stop(fx, recorded{})
		return
	}

	in := pr.incidentLocked(IncidentDrainTime)
	in.Limit = g.opts.drainTimeout().String()
	pr.recordAndDetach(fx, in, stop)
}
