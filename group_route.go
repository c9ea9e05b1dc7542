package passenger

import (
	"math/rand/v2"
)

// routeStickyLocked is routeLocked for a get that wants to go back to its process, and
// waits for that one if it has no room.
func (g *group) routeStickyLocked(id uint32) *Session {
	pr := g.stickyProcess(id)
	switch {
	case pr == nil:
		return g.routeLocked()
	case pr.full():
		return nil
	}

	return pr.openSessionLocked()
}

// routeLocked opens a session with the process that is to get the next request: of
// the newest generation that has room, the least busy, the earliest attached.
// nil: none has room.
func (g *group) routeLocked() *Session {
	if pr := g.routes.best(); pr != nil && !pr.full() {
		return pr.openSessionLocked()
	}

	if g.enabled.len() == 0 {
		return g.routeToDisablingLocked()
	}

	return nil
}

// routeToDisablingLocked keeps requests flowing while no enabled process is there
// yet.
func (g *group) routeToDisablingLocked() *Session {
	var best *process
	for pr := range g.disabling.all {
		if !pr.full() && (best == nil || pr.busyness() < best.busyness()) {
			best = pr
		}
	}

	if best == nil {
		return nil
	}

	return best.openSessionLocked()
}

// newStickyID returns an id that no other process of the group has.
func (g *group) newStickyID() uint32 {
	for {
		id := rand.Uint32() >> 1 //nolint:gosec // G404: it tells processes apart and is no secret
		if _, taken := g.sticky[id]; id != 0 && !taken {
			return id
		}
	}
}

// stickyProcess is the process that a get wants to go back to, if it takes
// requests.
func (g *group) stickyProcess(id uint32) *process {
	if id == 0 {
		return nil
	}

	if pr := g.sticky[id]; pr != nil && pr.state == stateEnabled {
		return pr
	}

	return nil
}

// serveSticky serves those who wait for this very process.
func (pr *process) serveSticky(fx *effects) {
	for w := pr.waiting.first(); w != nil && pr.state == stateEnabled && !pr.full(); w = pr.waiting.first() {
		pr.group.dequeueLocked(w)
		fx.deliver(w, pr.openSessionLocked(), nil)
	}
}

// requeueStickyLocked lets those who wait for this process wait for any.
func (g *group) requeueStickyLocked(pr *process) {
	for w := range pr.waiting.all {
		w.place.leave()
		g.stickyWaiting--
		g.queue.push(&w.place, w)
	}
}
