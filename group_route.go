package passenger

import (
	"math/rand/v2"
)

// routeStickyLocked is routeLocked for a get with a sticky ID. It returns nil if the process of
// that ID has no room, so that the get waits for it.
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

// routeLocked opens a session with the process that gets the next request: of the newest generation
// with room the least busy one, and of equals the one that was attached first. It returns nil if no
// process has room.
func (g *group) routeLocked() *Session {
	if pr := g.processWithRoom(); pr != nil {
		return pr.openSessionLocked()
	}

	return nil
}

// processWithRoom returns the process that gets the next request, or nil if none has room.
func (g *group) processWithRoom() *process {
	if pr := g.routes.best(); pr != nil && !pr.full() {
		return pr
	}

	if g.enabled.len() > 0 {
		return nil
	}

	// Those that are being disabled keep requests flowing until a process is enabled.
	var best *process
	for pr := range g.disabling.all {
		if !pr.full() && (best == nil || pr.busyness() < best.busyness()) {
			best = pr
		}
	}

	return best
}

// newStickyID returns an ID that no other process of the group has.
func (g *group) newStickyID() uint32 {
	for {
		// A positive number in 32 bits with a sign, as the original's.
		id := rand.Uint32() >> 1 //nolint:gosec // G404: the ID tells processes apart and is no secret
		if _, taken := g.sticky[id]; id != 0 && !taken {
			return id
		}
	}
}

// stickyProcess returns the process of a sticky ID if it takes requests, or nil.
func (g *group) stickyProcess(id uint32) *process {
	if id == 0 {
		return nil
	}

	if pr := g.sticky[id]; pr != nil && pr.state == stateEnabled {
		return pr
	}

	return nil
}

// serveSticky gives sessions to the gets that wait for this process and no other.
func (pr *process) serveSticky(fx *effects) {
	for w := pr.waiting.first(); w != nil && pr.state == stateEnabled && !pr.full(); w = pr.waiting.first() {
		pr.group.dequeueLocked(w)
		fx.deliver(w, pr.openSessionLocked(), nil)
	}
}

// requeueStickyLocked moves the gets that wait for this process to the queue, for any process.
func (g *group) requeueStickyLocked(pr *process) {
	// They join at the end: those in the queue may have waited longer.
	for w := range pr.waiting.all {
		w.place.leave()
		g.stickyWaiting--
		g.queue.push(&w.place, w)
	}
}
