package passenger

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gopassenger/passenger/hooks"
)

// Close ends the pool at once: gets that wait are answered with ErrClosed,
// processes are killed, with their sessions. It returns when no process and no
// goroutine of the pool is left. Further calls wait for the first.
func (p *Pool) Close() error {
	p.end(true)
	<-p.closed
	return p.closeErr
}

// Shutdown ends the pool without losing a request: no more gets are taken,
// those that wait are served, sessions run until they are closed, and
// processes end in their own time, all of them at once. When ctx ends first,
// the rest is done as Close does it, and the error is a *ShutdownError.
func (p *Pool) Shutdown(ctx context.Context) error {
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			return
		}

		p.state = poolDraining
		for g := range p.allGroups {
			g.failStartsLocked(ErrClosed)

			for _, l := range g.lists() {
				for pr := range l.all {
					pr.callOnDetach(fx)
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

// end begins the end, once; kill also hurries one that has begun.
func (p *Pool) end(kill bool) {
	first := false

	// Deferred, since a callback that is told of the end may panic.
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

// finish waits for all that goes on and closes the rest.
func (p *Pool) finish() {
	p.wg.Wait()
	err := p.hooks.Close(p.killCtx)
	p.killStops()
	p.closeErr = errors.Join(err, p.closeSpawners())
	close(p.closed)
}

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

		if !g.removed {
			g.fire(fx, hooks.Event{Name: hooks.BeforeDestroySupergroup})
		}

		for pr := range g.allProcesses {
			g.detach(fx, pr)
		}

		g.failQueue(fx, ErrClosed)
		g.failStartsLocked(ErrClosed)

		for pr := range g.detached.all {
			g.continueDrain(fx, pr)
		}
	}
}

// closeSpawners runs when no goroutine is left that could use one.
func (p *Pool) closeSpawners() error {
	var open []*release
	for g := range p.allGroups {
		open = append(open, g.openReleases...)
	}

	errs := make([]error, len(open))

	var closing sync.WaitGroup
	for i, r := range open {
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
