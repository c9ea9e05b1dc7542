package passenger

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
