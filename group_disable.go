package passenger

import (
	"context"
	"fmt"
	"strconv"
)

// Disable stops routing requests to a process, named by its GUPID or PID, and waits until it has
// none. If no other process takes requests, one is started first. It is no error if the process is
// disabled already.
//
// Errors: ErrNoSuchProcess; ErrCannotDisable with its cause; ErrEnabled; ErrProcessDetached;
// ErrClosed; that of ctx, in which case the process is disabled later.
func (p *Pool) Disable(ctx context.Context, id string) error {
	// With room for the result, which must not wait for a caller whose context has ended.
	result := make(chan error, 1)
	err := p.withProcess(id, func(fx *effects, pr *process) {
		pr.byAdmin = true
		pr.group.disable(fx, pr, func(err error) { result <- err })
	})
	if err != nil {
		return err
	}

	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Enable routes requests to a disabled process again. It is no error if the process is enabled
// already.
//
// Errors: ErrNoSuchProcess, ErrClosed.
func (p *Pool) Enable(id string) error {
	return p.withProcess(id, func(fx *effects, pr *process) {
		pr.group.enable(fx, pr)
	})
}

// withProcess changes a process of an open pool.
func (p *Pool) withProcess(id string, change func(*effects, *process)) (err error) {
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}

		pr := p.findProcessLocked(id)
		if pr == nil {
			err = fmt.Errorf("%w: %s", ErrNoSuchProcess, id)
			return
		}

		change(fx, pr)
	})

	return err
}

// findProcessLocked looks at each process, which is fast enough for calls of administrators.
func (p *Pool) findProcessLocked(id string) *process {
	for g := range p.allGroups {
		for pr := range g.allProcesses {
			if pr.info.GUPID == id || strconv.Itoa(pr.info.PID) == id {
				return pr
			}
		}
	}

	return nil
}

// disable stops routing requests to a process. done is called when it has none, or with the reason
// why it is not disabled. If it is the only enabled process, another one is started first.
func (g *group) disable(fx *effects, pr *process, done func(error)) {
	switch pr.state {
	case stateDisabled:
		fx.after(func() { done(nil) })
		return
	case stateDisabling:
		pr.onDisabled = append(pr.onDisabled, done)
		return
	case stateNew, stateDetached:
		fx.after(func() { done(ErrProcessDetached) })
		return
	case stateEnabled:
	}

	if g.enabled.len() == 1 {
		// Its requests need another process, so that no get waits in vain.
		if err := g.spawnObstacle(); err != nil {
			pr.byAdmin = false
			fx.after(func() { done(newDisableError(err)) })
			return
		}
	}

	pr.onDisabled = append(pr.onDisabled, done)
	pr.moveTo(fx, stateDisabling)

	// Until another process is enabled, routeToDisablingLocked still finds this one.
	g.reconcile(fx)
}

// spawnObstacle returns why no other process may be started, or nil if one may or is being started.
func (g *group) spawnObstacle() error {
	switch {
	case len(g.attempts) > 0:
		return nil
	case g.pool.state != poolOpen:
		return ErrClosed
	case g.isResisting():
		return g.deploymentError
	case g.opts.MaxProcesses > 0 && g.capacityUsed() >= g.opts.MaxProcesses:
		return fmt.Errorf("the application has reached its maximum of processes, %d", g.opts.MaxProcesses)
	case !g.pool.hasRoom():
		return fmt.Errorf("%w: it has reached its maximum, %d", ErrPoolFull, g.pool.cfg.MaxPoolSize)
	}

	return nil
}

// newDisableError returns ErrCannotDisable with its cause.
func newDisableError(cause error) error { return fmt.Errorf("%w: %w", ErrCannotDisable, cause) }

// finishDisabling disables a process that has no requests left, once another one takes those to
// come.
func (g *group) finishDisabling(fx *effects, pr *process) {
	if pr.state == stateDisabling && pr.sessions == 0 && g.enabled.len() > 0 {
		pr.moveTo(fx, stateDisabled)
		pr.callOnDisabled(fx, nil)
		g.detachIfDraining(fx, pr)
	}
}

// detachIfDraining detaches a disabled process of a pool that shuts down: no caller can enable it
// any more, and its room may be needed.
func (g *group) detachIfDraining(fx *effects, pr *process) {
	if g.pool.state == poolDraining && !pr.worksOutOfBand() {
		g.detach(fx, pr)
	}
}

// enable routes requests to a process again.
func (g *group) enable(fx *effects, pr *process) {
	switch pr.state {
	case stateDisabling, stateDisabled:
		pr.moveTo(fx, stateEnabled)
		pr.callOnDisabled(fx, ErrEnabled)
		g.pool.scheduleIdleCheckOfLocked(pr)
		g.startOOBW(fx, pr)
		g.reconcile(fx)
	case stateNew, stateEnabled, stateDetached:
	}
}

// cancelDisabling enables the processes that are being disabled, because no other process starts.
func (g *group) cancelDisabling(fx *effects, cause error) {
	for pr := range g.disabling.all {
		pr.moveTo(fx, stateEnabled)
		pr.callOnDisabled(fx, newDisableError(cause))
		g.pool.scheduleIdleCheckOfLocked(pr)
	}
}

// callOnDisabled tells those that wait for the process to be disabled how that ended.
func (pr *process) callOnDisabled(fx *effects, err error) {
	for _, done := range pr.onDisabled {
		fx.after(func() { done(err) })
	}

	pr.onDisabled = nil
}
