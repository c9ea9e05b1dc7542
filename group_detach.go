package passenger

import "time"

// detach takes a process out of the pool and lets others take its place.
func (g *group) detach(fx *effects, pr *process) {
	if pr.state == stateDetached {
		return
	}
	g.takeOut(fx, pr)
	g.settle(fx)
}

// takeOut takes a process out of the pool: it gets no more requests and ends
// when those it has are done.
func (g *group) takeOut(fx *effects, pr *process) {
	for i := range pr.sockets {
		pr.sockets[i].closeIdle(fx)
	}
	pr.idle.leave()
	pr.announceEnd(fx)
	pr.moveTo(fx, stateDetached)
	g.drainStep(fx, pr)
}

// drainStep brings a detached process nearer to its end: it is stopped when it
// has no session, or at once when the pool is closed, and forgotten when it
// has no session and is gone.
func (g *group) drainStep(fx *effects, pr *process) {
	if pr.sessions == 0 || pr.exited || g.pool.state == poolClosed {
		// Also when it is gone already: Stop clears away what it left.
		g.stopProcess(fx, pr)
	}
	if !pr.exited {
		return
	}
	if r := pr.drainedFor; r != nil {
		pr.drainedFor = nil
		r.draining--
		if r == g.restart {
			g.settle(fx)
		}
	}
	if pr.sessions == 0 {
		pr.member.leave()
	}
}

func (g *group) stopProcess(fx *effects, pr *process) {
	if !pr.stopping {
		pr.stopping = true
		fx.stop(g.pool, pr.proc)
	}
}

// limitDrain stops a detached process, with the sessions it has, when its time
// is up.
func (g *group) limitDrain(fx *effects, pr *process) {
	limit := g.opts.drainTimeout()
	if pr.stopping || limit < 0 || g.pool.state == poolClosed {
		return
	}
	p := g.pool
	p.wg.Go(func() {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-pr.proc.Exited():
			return
		case <-p.spawnCtx.Done():
			return // the pool is closed, which stops everything
		}
		p.update(func(fx *effects) {
			if !pr.stopping {
				fx.log(p, "Stopping a process whose time to finish its requests is up", "app", g.name, "pid", pr.info.PID, "sessions", pr.sessions)
				g.stopProcess(fx, pr)
			}
		})
	})
}
