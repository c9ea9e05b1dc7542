package passenger

import "time"

func (p *Pool) hasRoom() bool { return p.capacityUsed < p.cfg.MaxPoolSize }

// allot hands the room there is to the groups that claim it, at the end of
// each update. Restarts that would wait for room end.
func (p *Pool) allot(fx *effects) {
	p.fill(fx)

	for _, claims := range []*list[group]{&p.starving, &p.hungry} {
		for g := range claims.all {
			if g.restart != nil && g.processCount() == 0 {
				g.endRestart(fx, ErrPoolFull)
			}
		}
	}
}

// fill starts processes for as long as there is room. Groups that have no process come before those that want more,
// and both in the order of their claims. For the first kind, processes that
// have nothing to do are stopped.
func (p *Pool) fill(fx *effects) {
	for p.capacityUsed > p.cfg.MaxPoolSize && p.stopIdleProcess(fx, "the lower pool size") {
	}

	for {
		g := p.starving.first()
		if !p.hasRoom() {
			if g == nil || !p.stopIdleProcess(fx, g.name) {
				return
			}

			continue
		}

		if g == nil {
			g = p.hungry.first()
		}

		if g == nil {
			return
		}

		g.startSpawn(false)
	}
}

// stopIdleProcess makes room for a group by detaching the process that has
// been idle for longest: of a group above its minimum, if there is one.
func (p *Pool) stopIdleProcess(fx *effects, beneficiary string) bool {
	victim := p.idleVictim()
	if victim == nil {
		return false
	}

	g := victim.group
	fx.log(p, "Stopping an idle process to make room", "app", g.name, "pid", victim.info.PID, "for", beneficiary)
	g.detach(fx, victim)

	return true
}

// idleVictim looks at many processes only when it then finds one, so that a
// process stops and another starts.
func (p *Pool) idleVictim() *process {
	var fallback *process
	for pr := range p.idle.all {
		if pr.state == stateDisabled || pr.isIrreplaceable() {
			continue // somebody wants it as it is
		}

		if pr.group.capacityUsed() > pr.group.opts.MinProcesses {
			return pr
		}

		if fallback == nil {
			fallback = pr
		}
	}

	return fallback
}

// isIrreplaceable reports whether the process is the last one that can serve, of an
// earlier release than the one that does not start. Nobody will come for it any more
// where the pool drains.
func (pr *process) isIrreplaceable() bool {
	return pr.group.enabled.len() == 1 && pr.group.isResisting() && pr.group.pool.state == poolOpen
}

// SetMaxPoolSize changes Config.MaxPoolSize. Of the processes that are too many then,
// idle ones end at once and others when they are idle. Errors: those of
// Config.Validate.
func (p *Pool) SetMaxPoolSize(n int) error {
	return p.setConfig(func(c *Config) { c.MaxPoolSize = n })
}

// SetPoolIdleTime changes Config.PoolIdleTime.
func (p *Pool) SetPoolIdleTime(d time.Duration) {
	_ = p.setConfig(func(c *Config) { c.PoolIdleTime = d }) // every value is one
}

func (p *Pool) setConfig(change func(*Config)) (err error) {
	p.update(func(*effects) {
		cfg := p.cfg
		change(&cfg)
		if err = cfg.Validate(); err != nil {
			return
		}

		cfg.setDefaults()
		p.cfg.MaxPoolSize, p.cfg.PoolIdleTime = cfg.MaxPoolSize, cfg.PoolIdleTime // the rest is read without the lock

		p.stopTimer(p.collector)
		p.armCollector()
		p.stopTimer(p.cleaner)
		p.armCleaner()
	})

	return err
}

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
