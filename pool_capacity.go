package passenger

import "time"

// takeNoRoomFor is how long after a failed spawn, or a crash in the first request, a release that has no process has
// none of another application stopped for its gets.
const takeNoRoomFor = 5 * time.Second

func (p *Pool) hasRoom() bool { return p.capacityUsed < p.cfg.MaxPoolSize }

// assignCapacity gives free capacity to the groups that claim it, at the end of each update.
// Restarts that would have to wait for it end.
func (p *Pool) assignCapacity(fx *effects) {
	p.startClaimed(fx)

	// Their callers would wait for another application to give up a process.
	for _, claims := range []*list[group]{&p.starving, &p.hungry} {
		for g := range claims.all {
			if g.restart != nil && g.processCount() == 0 && g.release.check == nil {
				g.endRestart(fx, ErrPoolFull)
			}
		}
	}
}

// startClaimed starts processes while there is room or can be made: first for groups that have none, then for
// those that want more, both in the order of their claims.
func (p *Pool) startClaimed(fx *effects) {
	for p.capacityUsed > p.cfg.MaxPoolSize && p.stopIdleProcess(fx, "the lower pool size") {
	}

	for {
		p.useRoomLocked()
		if !p.makeRoom(fx) {
			return
		}
	}
}

func (p *Pool) useRoomLocked() {
	for p.hasRoom() {
		g := p.starving.first()
		if g == nil {
			g = p.hungry.first()
		}

		if g == nil {
			return
		}

		g.startAttemptLocked(spawnsNew)
	}
}

// makeRoom stops an idle process for a group that has none, or lets the gets fail of one whose release has just failed.
// It reports whether it has done either. Since no process is to end for an application that cannot start, the spawners
// are asked before, for as many groups at a time as there are idle processes.
func (p *Pool) makeRoom(fx *effects) bool {
	if p.idleVictim() == nil {
		return false
	}

	for g := range p.starving.all {
		switch {
		case !g.mayTakeRoom():
			g.failQueue(fx, g.release.failure)
			g.reconcile(fx)

			return true
		case g.release.checked:
			g.release.checked = false
			return p.stopIdleProcess(fx, g.name)
		case g.release.check != nil:
		case p.checks < p.idle.len():
			g.startCheckLocked()
		default:
			return false
		}
	}

	return false
}

// mayTakeRoom reports whether the group, which has no process, may have an idle one of another stopped. Not so for
// gets of a release that has just failed: each of them would cost another application a process. Starts, which
// an administrator asks for, may.
func (g *group) mayTakeRoom() bool { return g.takesNoRoomFor() <= 0 || g.hasStartWithoutProcess() }

// takesNoRoomFor returns for how long from now gets of the group have no process of another stopped.
func (g *group) takesNoRoomFor() time.Duration {
	if g.release.failure == nil {
		return 0
	}

	return max(g.release.failedAt+takeNoRoomFor-g.pool.now(), 0)
}

// stopIdleProcess makes room for the beneficiary by detaching the process that has been idle for
// longest, preferably of a group above its minimum. It returns false if there is none.
func (p *Pool) stopIdleProcess(fx *effects, beneficiary string) bool {
	victim := p.idleVictim()
	if victim == nil {
		return false
	}

	g := victim.group
	fx.log(p, "stopping an idle process to make room", "app", g.name, "pid", victim.info.PID, "for", beneficiary)
	g.detachAndReconcile(fx, victim)

	return true
}

// idleVictim returns the process to stop. It passes many processes only if it returns one in the
// end, so the cost is small beside that of a spawn.
func (p *Pool) idleVictim() *process {
	var fallback *process
	for pr := range p.idle.all {
		if pr.state == stateDisabled || pr.isIrreplaceable() {
			continue // an administrator or the last request needs it
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

// isIrreplaceable reports whether the process is the last one that can serve, because the new
// release has not started. While the pool drains, no get will come for it any more.
func (pr *process) isIrreplaceable() bool {
	g := pr.group
	return pr.state == stateEnabled && g.enabled.len() == 1 && pr.awaitsSuccessor() && g.pool.state == poolOpen
}

// awaitsSuccessor reports whether no process of the new release would take the place of this one: the
// release does not start, or a rolling restart is about to show whether it does.
func (pr *process) awaitsSuccessor() bool {
	g := pr.group
	inRestart := g.restart != nil && g.restart.rolling && pr.generation != g.release.generation

	return inRestart || g.isResisting()
}

// SetMaxPoolSize changes Config.MaxPoolSize. If there are more processes, idle ones end at once and
// others when they become idle. Errors: those of Config.Validate.
func (p *Pool) SetMaxPoolSize(n int) error {
	return p.setConfig(func(c *Config) { c.MaxPoolSize = n })
}

// SetPoolIdleTime changes Config.PoolIdleTime.
func (p *Pool) SetPoolIdleTime(d time.Duration) {
	_ = p.setConfig(func(c *Config) { c.PoolIdleTime = d }) // no value is a fault
}

func (p *Pool) setConfig(change func(*Config)) (err error) {
	p.update(func(*effects) {
		cfg := p.cfg
		change(&cfg)
		if err = cfg.Validate(); err != nil {
			return
		}

		cfg.setDefaults()
		// The other fields are read without the lock, and must not change.
		p.cfg.MaxPoolSize, p.cfg.PoolIdleTime = cfg.MaxPoolSize, cfg.PoolIdleTime

		p.stopTimerLocked(p.idleTimer)
		p.scheduleIdleCheckLocked()
		p.stopTimerLocked(p.vacantTimer)
		p.scheduleForgetLocked()
	})

	return err
}

// scheduleIdleCheckLocked starts the timer for the process that has been idle for longest. There is
// at most one timer, and none if no process may be stopped.
func (p *Pool) scheduleIdleCheckLocked() {
	for pr := range p.idle.all {
		if p.idleTimer.running() {
			return
		}

		p.scheduleIdleCheckOfLocked(pr)
	}
}

// scheduleIdleCheckOfLocked starts the timer for pr, unless it runs already.
func (p *Pool) scheduleIdleCheckOfLocked(pr *process) {
	if p.idleTimer.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed || !pr.mayStopIdle() {
		return
	}

	p.idleTimer = p.startTimerLocked(pr.lastUsed+p.cfg.PoolIdleTime-p.now(), p.stopIdleProcesses)
}

// stopIdleProcesses stops the processes that have been idle for PoolIdleTime.
func (p *Pool) stopIdleProcesses(fx *effects) {
	now := p.now()
	for pr := range p.idle.all {
		if now < pr.lastUsed+p.cfg.PoolIdleTime {
			break // the others became idle later
		}

		if pr.mayStopIdle() {
			fx.log(p, "stopping an idle process", "app", pr.group.name, "pid", pr.info.PID, "idle",
				(now - pr.lastUsed).String())
			pr.group.detachAndReconcile(fx, pr)
		}
	}

	p.scheduleIdleCheckLocked()
}

// mayStopIdle reports whether the process may be stopped for being idle.
func (pr *process) mayStopIdle() bool {
	g := pr.group
	return pr.state == stateEnabled && g.processCount() > g.opts.MinProcesses && !g.isResisting() && g.restart == nil
}

// isVacant reports whether the group has and wants nothing, so that the pool may forget it.
func (g *group) isVacant() bool {
	return g.opts.MinProcesses == 0 && g.processCount() == 0 && g.detached.len() == 0 &&
		len(g.attempts) == 0 && g.queueLength() == 0 && len(g.starts) == 0 && g.restart == nil
}

// updateVacancyLocked puts the group on the list of vacant ones, or takes it off. Call it after
// everything that may change isVacant.
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

// scheduleForgetLocked starts the timer for the group that has been vacant for longest.
func (p *Pool) scheduleForgetLocked() {
	g := p.vacant.first()
	if g == nil || p.vacantTimer.running() || p.cfg.PoolIdleTime <= 0 || p.state == poolClosed {
		return
	}

	p.vacantTimer = p.startTimerLocked(g.vacantSince+p.cfg.PoolIdleTime-p.now(), p.forgetVacantGroups)
}

// MaxUnusedApps is how many applications without a process and a waiting get a pool remembers: with their counts, and
// what is known of their failed starts. Those that have been unused for longest are forgotten first, before
// Config.PoolIdleTime is over: where clients decide the name of an application, as by the name of a host, they may
// think of any number of them.
const MaxUnusedApps = 1000

func (p *Pool) forgetLocked(fx *effects, g *group) {
	p.removeGroupLocked(g)
	g.remove(fx)
}

// forgetVacantGroups removes the groups that have been vacant for PoolIdleTime.
func (p *Pool) forgetVacantGroups(fx *effects) {
	now := p.now()
	for g := range p.vacant.all {
		if now < g.vacantSince+p.cfg.PoolIdleTime {
			break // the others became vacant later
		}

		fx.log(p, "forgetting an unused application", "app", g.name)
		p.forgetLocked(fx, g)
	}

	p.scheduleForgetLocked()
}

// removeGroupLocked takes a group off the list of its name.
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
