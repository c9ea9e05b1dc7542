package passenger

// armCollector sees to it that idle processes are looked at in time. There is
// at most one timer, and none where nothing may be stopped.
func (p *Pool) armCollector() {
	for pr := range p.idle.all {
		if p.collector.running() {
			return
		}
		p.collectLater(pr)
	}
}

// collectLater lets the process be looked at when it has been idle for long
// enough, if nobody else has the timer.
func (p *Pool) collectLater(pr *process) {
	if p.collector.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed || !pr.collectable() {
		return
	}
	p.collector = p.startTimer(pr.lastUsed+p.cfg.PoolIdleTime-p.now(), p.collect)
}

// collect stops processes that have been idle for too long.
func (p *Pool) collect(fx *effects) {
	now := p.now()
	for pr := range p.idle.all {
		if now < pr.lastUsed+p.cfg.PoolIdleTime {
			break // the others became idle later
		}
		if pr.collectable() {
			fx.log(p, "Stopping an idle process", "app", pr.group.name, "pid", pr.info.PID, "idle", (now - pr.lastUsed).String())
			pr.group.detach(fx, pr)
		}
	}
	p.armCollector()
}

// collectable: the process may be stopped when it has been idle for long
// enough.
func (pr *process) collectable() bool {
	g := pr.group
	return pr.state == stateEnabled && g.processCount() > g.opts.MinProcesses && g.resisted == nil && g.restart == nil
}
