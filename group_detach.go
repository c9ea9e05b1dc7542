package passenger

// detach takes a process out of the pool: it gets no more requests and ends
// when those it has are done.
func (g *group) detach(fx *effects, pr *process) {
	if pr.state == stateDetached {
		return
	}
	for i := range pr.sockets {
		pr.sockets[i].closeIdle(fx)
	}
	pr.idle.leave()
	pr.announceEnd(fx)
	pr.moveTo(fx, stateDetached)
	g.drainStep(fx, pr)
	g.settle(fx)
}

// drainStep brings a detached process nearer to its end: it is stopped when it
// has no session, or at once when the pool is closed, and forgotten when it
// has no session and is gone.
func (g *group) drainStep(fx *effects, pr *process) {
	if !pr.stopping && (pr.sessions == 0 || pr.exited || g.pool.state == poolClosed) {
		// Also when it is gone already: Stop clears away what it left.
		pr.stopping = true
		fx.stop(g.pool, pr.proc)
	}
	if pr.exited && pr.sessions == 0 {
		pr.member.leave()
	}
}
