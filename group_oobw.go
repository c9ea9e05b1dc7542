package passenger

import (
	"context"
	"errors"
	"time"
)

// oobwTimeout limits out-of-band work.
const oobwTimeout = time.Minute

// oobwState is the progress of a process's out-of-band work (OOBW, as the original calls it).
type oobwState uint8

const (
	oobwNone oobwState = iota
	oobwRequested
	// oobwStarting means that the process is being disabled for it.
	oobwStarting
	oobwRunning
)

// RequestOOBW asks for out-of-band work. Config.OutOfBandWork is called when the process has no
// requests and another one takes those to come.
func (s *Session) RequestOOBW() {
	pr := s.process
	p := pr.group.pool
	p.update(func(*effects) {
		if p.cfg.OutOfBandWork != nil && pr.oobw == oobwNone && pr.state != stateDetached {
			pr.oobw = oobwRequested
		}
	})
}

// worksOutOfBand reports whether the process does out-of-band work, or is about to.
func (pr *process) worksOutOfBand() bool { return pr.oobw == oobwStarting || pr.oobw == oobwRunning }

// startOOBW disables a process that has asked for out-of-band work, unless as many as may do
// theirs.
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

// runOOBW begins the work once the process is disabled.
func (g *group) runOOBW(fx *effects, pr *process, err error) {
	if err != nil || pr.state != stateDisabled || g.pool.state != poolOpen {
		g.endOOBW(fx, pr)
		return
	}

	// The session makes Shutdown wait for the work, and shows it in a snapshot.
	pr.oobw = oobwRunning
	s := pr.openSessionLocked()
	g.pool.wg.Go(func() { g.callOutOfBandWork(pr, s) })
}

// callOutOfBandWork calls Config.OutOfBandWork, without the lock.
func (g *group) callOutOfBandWork(pr *process, s *Session) {
	ctx, cancel := context.WithTimeout(g.pool.spawnCtx, oobwTimeout)
	defer cancel()

	// Deferred, since OutOfBandWork may panic or end this goroutine.
	var err error
	defer func() {
		s.Close(Discard)
		g.pool.update(func(fx *effects) {
			if err != nil && !errors.Is(err, context.Canceled) {
				fx.log(g.pool, "out-of-band work failed", "app", g.name, "pid", pr.info.PID, "error", err.Error())
			}

			g.endOOBW(fx, pr)
		})
	}()

	err = g.pool.cfg.OutOfBandWork(ctx, s)
}

// endOOBW routes requests to the process again, unless an administrator has disabled it meanwhile,
// and lets the next one work.
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
