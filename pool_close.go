package passenger

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gopassenger/passenger/hooks"
)

// Close ends the pool at once: gets in the queue fail with ErrClosed, and processes are killed with
// their sessions. It returns when no process and no goroutine of the pool is left. A second call
// waits for the first.
func (p *Pool) Close() error {
	p.end(true)
	<-p.closed
	return p.closeErr
}

// Shutdown ends the pool without losing a request: new gets fail with ErrClosed, those in the queue
// are served, sessions run until they are closed, and then all processes end, together and in their
// own time. When ctx ends first, the rest happens as in Close, and the error is a *ShutdownError.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			return
		}

		p.state = poolDraining
		for g := range p.allGroups {
			g.failStartsLocked(ErrClosed)

			// A WebSocket would hold up the end for as long as its client stays.
			for _, l := range g.lists() {
				for pr := range l.all {
					pr.callOnDetach(fx)
					pr.closeAbandoned(fx)
				}
			}

			for pr := range g.disabled.all {
				g.detachIfDraining(fx, pr)
			}

			g.reconcile(fx)
		}
	})

	var forced *ShutdownError
	select {
	case <-p.drained:
	case <-p.closed:
	case <-ctx.Done():
		forced = &ShutdownError{Err: ctx.Err()}
		p.update(func(*effects) { forced.Sessions, forced.Waiting = p.sessions, p.waiting })
	}

	if forced == nil {
		p.end(false)

		select {
		case <-p.closed:
			return p.closeErr
		case <-ctx.Done():
			forced = &ShutdownError{Err: ctx.Err()}
		}
	}

	p.update(func(*effects) {
		for g := range p.allGroups {
			forced.Processes += g.capacityUsed() + g.detached.len()
		}
	})
	err := p.Close()

	return errors.Join(forced, err)
}

// end closes the pool, once. With kill it also kills what is ending already, in a later call too.
func (p *Pool) end(kill bool) {
	first := false

	// Deferred, since a callback that receives ErrClosed may panic.
	defer func() {
		p.cancelSpawns()
		if kill {
			p.killStops()
		}

		if first {
			go p.finish()
		}
	}()

	p.update(func(fx *effects) {
		if first = p.state != poolClosed; first {
			p.closeGroups(fx)
		}
	})
}

// finish waits for all goroutines and closes hooks and spawners.
func (p *Pool) finish() {
	// Hooks come after the goroutines that fire them, spawners after those that spawn.
	p.wg.Wait()
	err := p.hooks.Close(p.killCtx)
	p.killStops()
	p.closeErr = errors.Join(err, p.closeSpawners())
	close(p.closed)
}

// closeGroups detaches all processes and fails everything that waits.
func (p *Pool) closeGroups(fx *effects) {
	p.state = poolClosed
	p.stopTimerLocked(p.idleTimer)
	p.stopTimerLocked(p.vacantTimer)

	for limit := range p.timed.all {
		p.stopTimerLocked(limit.timer)
	}

	p.markDrainedLocked()

	for g := range p.allGroups {
		g.claim.leave()
		g.stopRetryLocked()

		for _, r := range g.openReleases {
			p.stopTimerLocked(r.preloaderStop)
		}

		if g.restart != nil {
			g.endRestart(fx, ErrClosed)
		}

		// The hook of a removed group has been fired.
		if !g.removed {
			g.fire(fx, hooks.Event{Name: hooks.BeforeDestroySupergroup})
		}

		for pr := range g.allProcesses {
			g.detach(fx, pr)
		}

		g.failQueue(fx, ErrClosed)
		g.failStartsLocked(ErrClosed)

		// Also those that were draining before: now they are stopped with their sessions.
		for pr := range g.detached.all {
			g.continueDrain(fx, pr)
		}
	}
}

// closeSpawners closes the spawners of all releases, and the pool's own factory. It runs when no
// goroutine is left that could use one.
func (p *Pool) closeSpawners() error {
	var open []*release
	// Sessions may still end, with which a group leaves.
	p.update(func(*effects) {
		for g := range p.allGroups {
			open = append(open, g.openReleases...)
		}
	})

	errs := make([]error, len(open))

	var closing sync.WaitGroup
	for i, r := range open {
		// All at once, since a preloader takes its time to end.
		closing.Go(func() { errs[i] = r.closeSpawner(p) })
	}

	closing.Wait()
	p.update(func(*effects) {
		for g := range p.allGroups {
			g.openReleases = nil
		}

		for _, g := range slices.Clone(p.leaving) {
			g.forgetIfGoneLocked()
		}
	})

	if p.ownFactory {
		errs = append(errs, p.factory.Close())
	}

	return errors.Join(errs...)
}

func (p *Pool) markDrainedLocked() {
	if !p.drainedMarked {
		p.drainedMarked = true
		close(p.drained)
	}
}
