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
			fx.log(p, "Stopping an idle process", "app", pr.group.name, "pid", pr.info.PID, "idle",
				(now - pr.lastUsed).String())
			pr.group.detach(fx, pr)
		}
	}

	p.armCollector()
}

// collectable: the process may be stopped when it has been idle for long
// enough.
func (pr *process) collectable() bool {
	g := pr.group
	return pr.state == stateEnabled && g.processCount() > g.opts.MinProcesses && !g.isResisting() && g.restart == nil
}

// isVacant: the group has nothing, and keeps nothing.
func (g *group) isVacant() bool {
	return g.opts.MinProcesses == 0 && g.processCount() == 0 && g.detached.len() == 0 &&
		len(g.attempts) == 0 && g.queueLength() == 0 && len(g.starts) == 0 && g.restart == nil
}

// noteVacancy is called after whatever may have changed isVacant.
func (g *group) noteVacancy() {
	p := g.pool
	switch {
	case g.removed || !g.isVacant():
		g.vacancy.leave()
	case g.vacancy.in == nil:
		g.vacantSince = p.now()
		p.vacant.push(&g.vacancy, g)
		p.armCleaner()
	}
}

// armCleaner sees to it that the group is looked at that is vacant for longest.
func (p *Pool) armCleaner() {
	g := p.vacant.first()
	if g == nil || p.cleaner.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed {
		return
	}

	p.cleaner = p.startTimer(g.vacantSince+p.cfg.PoolIdleTime-p.now(), p.clean)
}

// clean forgets groups that have been vacant for too long.
func (p *Pool) clean(fx *effects) {
	now := p.now()
	for g := range p.vacant.all {
		if now < g.vacantSince+p.cfg.PoolIdleTime {
			break // the others became vacant later
		}

		fx.log(p, "Forgetting an application that nobody asks for", "app", g.name)
		p.unlink(g)
		g.remove(fx)
	}

	p.armCleaner()
}

// unlink takes one group out, and leaves its namesakes.
func (p *Pool) unlink(g *group) {
	first := p.groups[g.name]
	switch {
	case first != g:
		for first.namesake != g {
			first = first.namesake
		}

		first.namesake = g.namesake
	case g.namesake != nil:
		p.groups[g.name] = g.namesake
	default:
		delete(p.groups, g.name)
	}
}
