package passenger

import (
	"fmt"
	"math/rand/v2"
)

// waiter is a get in the queue of its group. Whatever takes it out of the queue, under the lock,
// also ends its wait: with a session, an error, or because its own caller gives up.
type waiter struct {
	group *group
	place node[waiter]
	// callback is set by AsyncGet, result by Get.
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

// deliver ends the wait. It runs after unlocking.
func (w *waiter) deliver(s *Session, err error) {
	if w.callback != nil {
		w.callback(s, err)
		return
	}

	w.result <- getResult{s, err}
}

// withdraw takes the waiter out of the queue. False means that the result has been delivered, or
// will be.
func (w *waiter) withdraw() (withdrawn bool) {
	p := w.group.pool
	p.update(func(fx *effects) {
		// Without this waiter, the group may no longer want the process it has claimed.
		if withdrawn = w.group.dequeueLocked(w); withdrawn {
			w.group.reconcile(fx)
		}
	})

	return withdrawn
}

// startTimeoutLocked makes the wait fail with ErrQueueTimeout after opts.MaxRequestQueueTime.
func (w *waiter) startTimeoutLocked(opts *Options) {
	limit := opts.MaxRequestQueueTime
	if limit <= 0 {
		return
	}

	w.limit = w.group.pool.startTimerLocked(limit, func(fx *effects) {
		if w.group.dequeueLocked(w) {
			w.group.counts.Limits.QueueTime++
			fx.deliver(w, nil, ErrQueueTimeout)
			w.group.reconcile(fx)
		}
	})
}

// enqueueLocked puts a get into the queue.
//
//nolint:gosec // G404: the ID is no secret
func (g *group) enqueueLocked(opts *Options, callback func(*Session, error)) (*waiter, *QueueFullError) {
	if limit := opts.queueLimit(); limit >= 0 && g.queueLength() >= limit {
		g.counts.Limits.QueueLength++
		return nil, &QueueFullError{AppName: g.name, Limit: limit, ID: fmt.Sprintf("%08x", rand.Uint32())}
	}

	w := newWaiter(g, callback)
	// A sticky get waits for its own process, so it must not hold up the queue of all.
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

// queueLength is the number of gets that wait, for any process or for one.
func (g *group) queueLength() int { return g.queue.len() + g.stickyWaiting }

// dequeueLocked takes w out of the queue. False means that it was taken out before.
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

// serveQueue gives sessions to waiters while processes have room, first come, first served.
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

// unblockWaiters keeps gets from waiting for a process that will not start. While a failed release
// is resisted and no process is enabled, the one that is being disabled keeps serving; if all are
// disabled, the gets fail.
func (g *group) unblockWaiters(fx *effects) {
	switch {
	case g.deploymentError == nil:
	case !g.isResisting():
		// The last old process has left: idle ones may be stopped again.
		g.pool.scheduleIdleCheckLocked()
	case g.enabled.len() > 0:
	case g.disabling.len() > 0:
		g.cancelDisabling(fx, g.deploymentError)
	case g.oobwCount == 0:
		// After out-of-band work a process would be enabled again by itself.
		g.failQueue(fx, g.deploymentError)
	}
}

// failQueue ends the wait of every get in the queue with err.
func (g *group) failQueue(fx *effects, err error) {
	for w := range g.queue.all {
		g.dequeueLocked(w)
		fx.deliver(w, nil, err)
	}
}
