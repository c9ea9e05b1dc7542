package passenger

import (
	"context"
	"fmt"
	"strconv"
)

// Disable lets a process, named by its GUPID or pid, take no more requests,
// and waits until it has none. If it is the only one, another one is started
// first. A process that is disabled already is no error.
//
// Errors: ErrNoSuchProcess, ErrCannotDisable with its cause, ErrEnabled,
// ErrProcessDetached, ErrClosed; ctx's, with which the process is disabled later.
func (p *Pool) Disable(ctx context.Context, id string) error {
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

// Enable lets a process take requests again that was disabled. One that does
// already is no error. Errors: ErrNoSuchProcess, ErrClosed.
func (p *Pool) Enable(id string) error {
	return p.withProcess(id, func(fx *effects, pr *process) {
		pr.group.enable(fx, pr)
	})
}

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

// findProcessLocked looks at all processes: it is for people.
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

// disable lets a process take no more requests; done is called when it has
// none, or when it did not come to that. Another process takes its place
// first if it is the only one.
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
		if err := g.spawnObstacle(); err != nil {
			pr.byAdmin = false
			fx.after(func() { done(newDisableError(err)) })
			return
		}
	}

	pr.onDisabled = append(pr.onDisabled, done)
	pr.moveTo(fx, stateDisabling)

	// If it is alone, it serves until the other one is there.
	g.reconcile(fx)
}

// spawnObstacle is why no other process may be started; nil: one may, or is.
func (g *group) spawnObstacle() error {
	switch {
	case len(g.attempts) > 0:
		return nil
	case g.pool.state != poolOpen:
		return ErrClosed
	case g.isResisting():
		return g.deploymentError
	case g.opts.MaxProcesses > 0 && g.capacityUsed() >= g.opts.MaxProcesses:
		return fmt.Errorf("the application has as many processes as it may, %d", g.opts.MaxProcesses)
	case !g.pool.hasRoom():
		return fmt.Errorf("%w: it has %d, as many as it may", ErrPoolFull, g.pool.cfg.MaxPoolSize)
	}

	return nil
}

func newDisableError(cause error) error { return fmt.Errorf("%w: %w", ErrCannotDisable, cause) }

// finishDisabling disables a process that has no requests any more and is not
// needed for those that come.
func (g *group) finishDisabling(fx *effects, pr *process) {
	if pr.state == stateDisabling && pr.sessions == 0 && g.enabled.len() > 0 {
		pr.moveTo(fx, stateDisabled)
		pr.callOnDisabled(fx, nil)
		g.detachIfDraining(fx, pr)
	}
}

// detachIfDraining takes a disabled process out of a pool that shuts down: nobody
// will enable it any more, and its room may be needed.
func (g *group) detachIfDraining(fx *effects, pr *process) {
	if g.pool.state == poolDraining && !pr.worksOutOfBand() {
		g.detach(fx, pr)
	}
}

// enable lets a process take requests again.
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

// cancelDisabling gives up on all disabling, because no other process starts.
func (g *group) cancelDisabling(fx *effects, cause error) {
	for pr := range g.disabling.all {
		pr.moveTo(fx, stateEnabled)
		pr.callOnDisabled(fx, newDisableError(cause))
		g.pool.scheduleIdleCheckOfLocked(pr)
	}
}

func (pr *process) callOnDisabled(fx *effects, err error) {
	for _, done := range pr.onDisabled {
		fx.after(func() { done(err) })
	}

	pr.onDisabled = nil
}
