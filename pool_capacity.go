package passenger

import "time"

func (p *Pool) hasRoom() bool { return p.capacityUsed < p.cfg.MaxPoolSize }

// assignCapacity hands the room there is to the groups that claim it, at the end of
// each update. Restarts that would wait for room end.
func (p *Pool) assignCapacity(fx *effects) {
	p.startClaimed(fx)

	for _, claims := range []*list[group]{&p.starving, &p.hungry} {
		for g := range claims.all {
			if g.restart != nil && g.processCount() == 0 {
				g.endRestart(fx, ErrPoolFull)
			}
		}
	}
}

// startClaimed starts processes for as long as there is room. Groups that have no process come before those that want more,
// and both in the order of their claims. For the first kind, processes that
// have nothing to do are stopped.
func (p *Pool) startClaimed(fx *effects) {
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

		g.startSpawnLocked(false)
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
	g.detachAndReconcile(fx, victim)

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

		p.stopTimerLocked(p.idleTimer)
		p.scheduleIdleCheckLocked()
		p.stopTimerLocked(p.vacantTimer)
		p.scheduleForgetLocked()
	})

	return err
}

// scheduleIdleCheckLocked sees to it that idle processes are looked at in time. There is
// at most one timer, and none where nothing may be stopped.
func (p *Pool) scheduleIdleCheckLocked() {
	for pr := range p.idle.all {
		if p.idleTimer.running() {
			return
		}

		p.scheduleIdleCheckOfLocked(pr)
	}
}

// scheduleIdleCheckOfLocked lets the process be looked at when it has been idle for long
// enough, if nobody else has the timer.
func (p *Pool) scheduleIdleCheckOfLocked(pr *process) {
	if p.idleTimer.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed || !pr.mayStopIdle() {
		return
	}

	p.idleTimer = p.startTimerLocked(pr.lastUsed+p.cfg.PoolIdleTime-p.now(), p.stopIdleProcesses)
}

// stopIdleProcesses stops processes that have been idle for too long.
func (p *Pool) stopIdleProcesses(fx *effects) {
	now := p.now()
	for pr := range p.idle.all {
		if now < pr.lastUsed+p.cfg.PoolIdleTime {
			break // the others became idle later
		}

		if pr.mayStopIdle() {
			fx.log(p, "Stopping an idle process", "app", pr.group.name, "pid", pr.info.PID, "idle",
				(now - pr.lastUsed).String())
			pr.group.detachAndReconcile(fx, pr)
		}
	}

	p.scheduleIdleCheckLocked()
}

// mayStopIdle: the process may be stopped when it has been idle for long
// enough.
func (pr *process) mayStopIdle() bool {
	g := pr.group
	return pr.state == stateEnabled && g.processCount() > g.opts.MinProcesses && !g.isResisting() && g.restart == nil
}

// isVacant: the group has nothing, and keeps nothing.
func (g *group) isVacant() bool {
	return g.opts.MinProcesses == 0 && g.processCount() == 0 && g.detached.len() == 0 &&
		len(g.attempts) == 0 && g.queueLength() == 0 && len(g.starts) == 0 && g.restart == nil
}

// updateVacancyLocked is called after whatever may have changed isVacant.
func (g *group) updateVacancyLocked() {
	p := g.pool
	switch {
	case g.removed || !g.isVacant():
		g.vacancy.leave()
	case g.vacancy.in == nil:
		g.vacantSince = p.now()
		p.vacant.push(&g.vacancy, g)
		p.scheduleForgetLocked()
	}
}

// scheduleForgetLocked sees to it that the group is looked at that is vacant for longest.
func (p *Pool) scheduleForgetLocked() {
	g := p.vacant.first()
	if g == nil || p.vacantTimer.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed {
		return
	}

	p.vacantTimer = p.startTimerLocked(g.vacantSince+p.cfg.PoolIdleTime-p.now(), p.forgetVacantGroups)
}

// forgetVacantGroups forgets groups that have been vacant for too long.
func (p *Pool) forgetVacantGroups(fx *effects) {
	now := p.now()
	for g := range p.vacant.all {
		if now < g.vacantSince+p.cfg.PoolIdleTime {
			break // the others became vacant later
		}

		fx.log(p, "Forgetting an application that nobody asks for", "app", g.name)
		p.removeGroupLocked(g)
		g.remove(fx)
	}

	p.scheduleForgetLocked()
}

// removeGroupLocked takes one group out, and leaves its namesakes.
func (p *Pool) removeGroupLocked(g *group) {
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
