package passenger

import (
	"context"
	"errors"
	"time"
)

// oobwTimeout bounds out-of-band work.
const oobwTimeout = time.Minute

// oobwState is how far a process's out-of-band work is.
type oobwState uint8

const (
	oobwNone oobwState = iota
	oobwRequested
	// oobwStarting: the process is being disabled for it.
	oobwStarting
	oobwRunning
)

// RequestOOBW asks for out-of-band work: when the process has no requests, and
// another one takes those that come, Config.OutOfBandWork is called.
func (s *Session) RequestOOBW() {
	pr := s.process
	p := pr.group.pool
	p.update(func(*effects) {
		if p.cfg.OutOfBandWork != nil && pr.oobw == oobwNone && pr.state != stateDetached {
			pr.oobw = oobwRequested
		}
	})
}

// worksOutOfBand: it does, or is about to.
func (pr *process) worksOutOfBand() bool { return pr.oobw == oobwStarting || pr.oobw == oobwRunning }

// startOOBW begins the work of a process that has asked for it, if not too
// many others do theirs.
func (g *group) startOOBW(fx *effects, pr *process) {
	if pr.oobw != oobwRequested || pr.state != stateEnabled || g.oobwCount >= g.opts.maxOOBW() {
		return
	}

	g.oobwCount++
	pr.oobw = oobwStarting
	g.disable(fx, pr, func(err error) {
		g.pool.update(func(fx *effects) { g.runOOBW(fx, pr, err) })
	})
}

func (g *group) runOOBW(fx *effects, pr *process, err error) {
	if err != nil || pr.state != stateDisabled || g.pool.state != poolOpen {
		g.endOOBW(fx, pr)
		return
	}

	pr.oobw = oobwRunning
	s := pr.openSessionLocked()
	g.pool.wg.Go(func() { g.callOutOfBandWork(pr, s) })
}

func (g *group) callOutOfBandWork(pr *process, s *Session) {
	ctx, cancel := context.WithTimeout(g.pool.spawnCtx, oobwTimeout)
	defer cancel()

	// Deferred, since it may end this goroutine.
	var err error
	defer func() {
		s.Close(Discard)
		g.pool.update(func(fx *effects) {
			if err != nil && !errors.Is(err, context.Canceled) {
				fx.log(g.pool, "Out-of-band work failed", "app", g.name, "pid", pr.info.PID, "error", err.Error())
			}

			g.endOOBW(fx, pr)
		})
	}()

	err = g.pool.cfg.OutOfBandWork(ctx, s)
}

// endOOBW lets the process take requests again, unless somebody else has
// disabled it, and gives others their turn.
func (g *group) endOOBW(fx *effects, pr *process) {
	pr.oobw = oobwNone
	g.oobwCount--
	if pr.state == stateDisabled && (!pr.byAdmin || g.pool.state == poolDraining) {
		g.enable(fx, pr)
	}

	for next := range g.enabled.all {
		g.startOOBW(fx, next)
	}

	g.reconcile(fx)
}
