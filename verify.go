package passenger

import (
	"errors"
	"fmt"
	"slices"
)

// verify returns all violations of the invariants. It looks at everything, so it runs only with
// Config.SelfChecks.
func (p *Pool) verify() error {
	c := checker{}

	var used, sessions, waiting, idle int
	for g := range p.allGroups {
		g.verify(&c)
		used += g.capacityUsed()

		waiting += g.queueLength()
		for _, l := range g.lists() {
			for pr := range l.all {
				sessions += pr.sessions
				if pr.idle.in != nil {
					idle++
				}
			}
		}
	}

	c.check(used == p.capacityUsed, "capacity used is %d, counted %d", used, p.capacityUsed)
	c.check(sessions == p.sessions, "%d sessions are open, counted %d", sessions, p.sessions)
	c.check(waiting == p.waiting, "%d gets wait, counted %d", waiting, p.waiting)
	c.check(idle == p.idle.len(), "%d processes are idle, %d are listed", idle, p.idle.len())
	if p.state != poolClosed && p.cfg.PoolIdleTime > 0 {
		for pr := range p.idle.all {
			c.check(p.idleTimer.running() || !pr.mayStopIdle(), "%s: no timer runs for idle process %d", pr.group.name,
				pr.info.PID)
		}
	}

	c.check(p.vacant.len() == 0 || p.vacantTimer.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed,
		"no timer runs for vacant groups")
	c.check(p.starving.len()+p.hungry.len() == 0 || !p.hasRoom(), "groups claim capacity while there is room")

	return errors.Join(c.faults...)
}

func (g *group) verify(c *checker) {
	states := []processState{stateEnabled, stateDisabling, stateDisabled, stateDetached}
	for i, l := range g.lists() {
		for pr := range l.all {
			c.check(pr.state == states[i], "%s: process %d is %s in the list of the %s", g.name, pr.info.PID, pr.state,
				states[i])
			pr.verify(c)
		}
	}

	g.verifyRoutes(c)
	c.check(g.isVacant() == (g.vacancy.in != nil) || g.removed || g.pool.state == poolClosed,
		"%s: is vacant: %t, listed so: %t", g.name, g.isVacant(), g.vacancy.in != nil)

	sticky, working := 0, 0
	for pr := range g.allProcesses {
		sticky += pr.waiting.len()
		c.check(pr.waiting.len() == 0 || pr.state == stateEnabled && pr.full(), "%s: gets wait for process %d in vain",
			g.name, pr.info.PID)
		c.check(g.sticky[pr.stickyID] == pr, "%s: process %d is not found by its sticky id", g.name, pr.info.PID)
		if pr.worksOutOfBand() {
			working++
		}
	}

	c.check(sticky == g.stickyWaiting, "%s: %d gets wait for one process, counted %d", g.name, sticky, g.stickyWaiting)
	c.check(len(g.sticky) == g.processCount(), "%s: %d sticky ids of %d processes", g.name, len(g.sticky),
		g.processCount())
	c.check(working <= g.oobwCount, "%s: %d processes work out of band, counted %d", g.name, working, g.oobwCount)
	c.check(g.removed == slices.Contains(g.pool.leaving, g) || len(g.openReleases) == 0,
		"%s: is removed: %t, and not listed as leaving", g.name, g.removed)

	// byAdmin is reset by moveTo, so that it never outlives the state.
	for pr := range g.allProcesses {
		c.check(!pr.byAdmin || pr.state != stateEnabled, "%s: process %d is enabled, and disabled by an administrator",
			g.name, pr.info.PID)
	}

	if g.pool.state == poolClosed {
		c.check(g.queue.len() == 0, "%s: gets wait in a closed pool", g.name)
		c.check(len(g.starts) == 0, "%s: starts wait in a closed pool", g.name)
		c.check(g.enabled.len()+g.disabling.len()+g.disabled.len() == 0, "%s: a closed pool has processes", g.name)

		return
	}

	for _, s := range g.starts {
		c.check(g.enabled.len() < s.want, "%s: a start waits for %d processes, and %d are there", g.name, s.want,
			g.enabled.len())
	}

	g.verifyQueue(c)
}

// verifyQueue checks that no get waits while a process has room, or while nothing is done for it.
func (g *group) verifyQueue(c *checker) {
	best := g.leastBusy()
	c.check(g.queue.len() == 0 || best == nil || best.full(), "%s: gets wait while a process has room", g.name)
	c.check(g.wantsProcess() == (g.claim.in != nil), "%s: wants a process: %t, claims one: %t", g.name,
		g.wantsProcess(), g.claim.in != nil)
	if g.queue.len() > 0 && g.enabled.len()+g.disabling.len() == 0 && len(g.attempts) == 0 {
		full := g.opts.MaxProcesses > 0 && g.capacityUsed() >= g.opts.MaxProcesses
		resists := g.isResisting() && g.oobwCount > 0
		c.check(g.claim.in == &g.pool.starving || full || resists, "%s: gets wait and nothing is done for them", g.name)
	}
}

// leastBusy is the process that should be the best one, found the slow way.
func (g *group) leastBusy() (best *process) {
	for pr := range g.enabled.all {
		if e := newRouteEntry(pr); best == nil {
			best = pr
		} else if b := newRouteEntry(best); e.before(&b) {
			best = pr
		}
	}

	return best
}

func (g *group) verifyRoutes(c *checker) {
	c.check(len(g.routes.entries) == g.enabled.len(), "%s: %d routes to %d enabled processes", g.name,
		len(g.routes.entries), g.enabled.len())

	for i := range g.routes.entries {
		e := &g.routes.entries[i]
		stale := i == 0 && g.routes.stale // routeTable.stale: its rank and place may be wrong
		c.check(g.routes.slots[e.id] == i && e.id == e.pr.routeID && (stale || e.rank == routeRank(e.pr)),
			"%s: the route to process %d is out of date", g.name, e.pr.info.PID)
		parent := (i - 1) / arity
		c.check(i == 0 || parent == 0 && g.routes.stale || !e.before(&g.routes.entries[parent]),
			"%s: the routes are out of order", g.name)
	}
}

func (pr *process) verify(c *checker) {
	name, pid := pr.group.name, pr.info.PID

	sum := 0
	for i := range pr.sockets {
		s := &pr.sockets[i]
		sum += s.sessions
		c.check(s.sessions >= 0 && (s.concurrency == 0 || s.sessions <= s.concurrency),
			"%s: process %d has %d sessions on a socket for %d", name, pid, s.sessions, s.concurrency)
		c.check(len(s.idle) == 0 || pr.state != stateDetached, "%s: detached process %d has idle connections", name,
			pid)
	}

	c.check(sum == pr.sessions, "%s: process %d has %d sessions, counted %d", name, pid, sum, pr.sessions)
	c.check((pr.idle.in != nil) == (pr.sessions == 0 && pr.state != stateDetached),
		"%s: process %d is wrong in the idle list", name, pid)
	c.check(pr.state != stateDisabled || pr.sessions == 0 || pr.oobw == oobwRunning,
		"%s: disabled process %d has sessions", name, pid)
	c.check(pr.state == stateDisabling || len(pr.onDisabled) == 0,
		"%s: a call waits for process %d to be disabled, which is %s", name, pid, pr.state)
	c.check(pr.state != stateDisabling || pr.sessions > 0 || pr.group.enabled.len() == 0,
		"%s: process %d should be disabled", name, pid)
	c.check(pr.state != stateDetached || pr.stopping || pr.stopWaits || pr.sessions > 0,
		"%s: detached process %d is not being stopped", name, pid)
	c.check(pr.recording || !pr.stopWaits && !pr.hookWaits, "%s: something waits for the incident of process %d, "+
		"which is not being recorded", name, pid)
	c.check(!pr.exited || pr.sessions > 0 || pr.member.in == nil, "%s: process %d is gone and still there", name, pid)
}

type checker struct{ faults []error }

func (c *checker) check(ok bool, format string, args ...any) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf("BUG: "+format, args...))
	}
}
