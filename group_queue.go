package passenger

import (
	"fmt"
	"math/rand/v2"
)

// waiter is a get that waits in its group's queue. Whoever takes it out of the
// queue, under the lock, answers it: a session, an error, or its own caller
// who gives up.
type waiter struct {
	group *group
	place node[waiter]
	// One of the two gets the answer: callback for AsyncGet, result for Get.
	callback func(*Session, error)
	result   chan getResult
	limit    *poolTimer
}

type getResult struct {
	session *Session
	err     error
}

func newWaiter(g *group, callback func(*Session, error)) *waiter {
	w := &waiter{group: g, callback: callback}
	if callback == nil {
		w.result = make(chan getResult, 1)
	}

	return w
}

// deliver runs after unlocking.
func (w *waiter) deliver(s *Session, err error) {
	if w.callback != nil {
		w.callback(s, err)
		return
	}

	w.result <- getResult{s, err}
}

// withdraw gives up; false: the answer is there or on its way.
func (w *waiter) withdraw() (withdrawn bool) {
	p := w.group.pool
	p.update(func(fx *effects) {
		if withdrawn = w.group.dequeueLocked(w); withdrawn {
			w.group.reconcile(fx)
		}
	})

	return withdrawn
}

// startTimeoutLocked answers a waiter with ErrQueueTimeout when its time is up.
func (w *waiter) startTimeoutLocked(opts *Options) {
	limit := opts.MaxRequestQueueTime
	if limit <= 0 {
		return
	}

	w.limit = w.group.pool.startTimerLocked(limit, func(fx *effects) {
		if w.group.dequeueLocked(w) {
			fx.deliver(w, nil, ErrQueueTimeout)
			w.group.reconcile(fx)
		}
	})
}

// enqueueLocked lets a get wait; an error says why it cannot.
//
//nolint:gosec // G404: the ID is no secret
func (g *group) enqueueLocked(opts *Options, callback func(*Session, error)) (*waiter, *QueueFullError) {
	if limit := opts.queueLimit(); limit >= 0 && g.queueLength() >= limit {
		return nil, &QueueFullError{AppName: g.name, Limit: limit, ID: fmt.Sprintf("%08x", rand.Uint32())}
	}

	w := newWaiter(g, callback)
	if pr := g.stickyProcess(opts.StickySessionID); pr != nil {
		pr.waiting.push(&w.place, w)
		g.stickyWaiting++
	} else {
		g.queue.push(&w.place, w)
	}

	g.pool.waiting++
	w.startTimeoutLocked(opts)

	return w, nil
}

// queueLength counts all who wait.
func (g *group) queueLength() int { return g.queue.len() + g.stickyWaiting }

// dequeueLocked takes w out of the queue; false: someone else has.
func (g *group) dequeueLocked(w *waiter) bool {
	if w.place.in == nil {
		return false
	}

	if w.place.in != &g.queue {
		g.stickyWaiting--
	}

	w.place.leave()
	g.pool.waiting--
	g.pool.stopTimerLocked(w.limit)

	return true
}

// serveQueue gives waiters sessions for as long as there is room, first come
// first served.
func (g *group) serveQueue(fx *effects) {
	for w := g.queue.first(); w != nil; w = g.queue.first() {
		s := g.routeLocked()
		if s == nil {
			return
		}

		g.dequeueLocked(w)
		fx.deliver(w, s, nil)
	}
}

// unblockWaiters sees to it that nobody waits for a process that will not be started, while the
// group has none that is enabled: one that is being disabled serves on, and where there
// are only disabled ones, who wait are told.
func (g *group) unblockWaiters(fx *effects) {
	switch {
	case g.deploymentError == nil:
	case !g.isResisting(): // any more
		g.pool.scheduleIdleCheckLocked()
	case g.enabled.len() > 0:
	case g.disabling.len() > 0:
		g.cancelDisabling(fx, g.deploymentError)
	case g.oobwCount == 0: // else one comes back soon
		g.failQueue(fx, g.deploymentError)
	}
}

// failQueue answers every waiter with err.
func (g *group) failQueue(fx *effects, err error) {
	for w := range g.queue.all {
		g.dequeueLocked(w)
		fx.deliver(w, nil, err)
	}
}
