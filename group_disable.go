package passenger

import (
	"errors"
	"fmt"
)

// What became of a Disable.
var (
	// ErrCannotDisable: it is the only process that takes requests, and another
	// one does not start, or may not; what is wrapped beside it says why.
	ErrCannotDisable = errors.New("passenger: the process cannot be disabled: no other one can take its requests")
	// ErrEnabled: the process was enabled again before it was disabled.
	ErrEnabled = errors.New("passenger: the process was enabled again")
	// ErrProcessDetached: the process left the pool meanwhile.
	ErrProcessDetached = errors.New("passenger: the process has left the pool")
)

// disable lets a process take no more requests; done is called when it has
// none, or when it did not come to that. Another process takes its place
// first if it is the only one.
func (g *group) disable(fx *effects, pr *process, done func(error)) {
	switch pr.state {
	case stateDisabled:
		fx.after(func() { done(nil) })
		return
	case stateDisabling:
		pr.disabled = append(pr.disabled, done)
		return
	case stateNew, stateDetached:
		fx.after(func() { done(ErrProcessDetached) })
		return
	case stateEnabled:
	}

	if g.enabled.len() == 1 {
		if err := g.cannotGrow(); err != nil {
			pr.byAdmin = false
			fx.after(func() { done(cannotDisable(err)) })
			return
		}
	}

	pr.disabled = append(pr.disabled, done)
	pr.moveTo(fx, stateDisabling)

	// If it is alone, it serves until the other one is there.
	g.settle(fx)
}

// cannotGrow is why no other process may be started; nil: one may, or is.
func (g *group) cannotGrow() error {
	switch {
	case len(g.attempts) > 0:
		return nil
	case g.pool.state != poolOpen:
		return ErrClosed
	case g.isResisting():
		return g.resisted
	case g.opts.MaxProcesses > 0 && g.capacityUsed() >= g.opts.MaxProcesses:
		return fmt.Errorf("the application has as many processes as it may, %d", g.opts.MaxProcesses)
	case !g.pool.hasRoom():
		return fmt.Errorf("%w: it has %d, as many as it may", ErrPoolFull, g.pool.cfg.MaxPoolSize)
	}

	return nil
}

func cannotDisable(cause error) error { return fmt.Errorf("%w: %w", ErrCannotDisable, cause) }

// finishDisabling disables a process that has no requests any more and is not
// needed for those that come.
func (g *group) finishDisabling(fx *effects, pr *process) {
	if pr.state == stateDisabling && pr.sessions == 0 && g.enabled.len() > 0 {
		pr.moveTo(fx, stateDisabled)
		pr.disableEnded(fx, nil)
		g.retireDisabled(fx, pr)
	}
}

// retireDisabled takes a disabled process out of a pool that shuts down: nobody
// will enable it any more, and its room may be needed.
func (g *group) retireDisabled(fx *effects, pr *process) {
	if g.pool.state == poolDraining && !pr.worksOutOfBand() {
		g.takeOut(fx, pr)
	}
}

// enable lets a process take requests again.
func (g *group) enable(fx *effects, pr *process) {
	switch pr.state {
	case stateDisabling, stateDisabled:
		pr.moveTo(fx, stateEnabled)
		pr.disableEnded(fx, ErrEnabled)
		g.pool.collectLater(pr)
		g.startOOBW(fx, pr)
		g.settle(fx)
	case stateNew, stateEnabled, stateDetached:
	}
}

// cannotDisable gives up on all disabling, because no other process starts.
func (g *group) cannotDisable(fx *effects, cause error) {
	for pr := range g.disabling.all {
		pr.moveTo(fx, stateEnabled)
		pr.disableEnded(fx, cannotDisable(cause))
		g.pool.collectLater(pr)
	}
}

func (pr *process) disableEnded(fx *effects, err error) {
	for _, done := range pr.disabled {
		fx.after(func() { done(err) })
	}

	pr.disabled = nil
}
