package watchdog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An agent that has served for healthy when it dies is replaced at once. One
// that has not is likely to die again: then there is a pause, of minPause at
// first and twice as long each time, up to maxPause.
const (
	healthy  = time.Second
	minPause = time.Second
	maxPause = 30 * time.Second
)

// yieldTime is how long an agent that is replaced may take to say that it takes no more
// work: one of another version may not know how.
const yieldTime = 5 * time.Second

// begin starts the agent's first process, and lets it live if that serves.
func (a *agent) begin(ctx context.Context) error {
	p, err := a.start(ctx, a.dog.cfg.StartTimeout)
	if err != nil {
		return err
	}

	go a.live(context.WithoutCancel(ctx), p)

	return nil
}

// live replaces each process that dies, until the agent is to end.
func (a *agent) live(ctx context.Context, p *process) {
	defer close(a.done)

	for p != nil {
		select {
		case <-p.exited:
			a.set(nil)
			p.link.close()
			if p.err == nil {
				if !a.dog.stopping.Load() {
					a.dog.cfg.Logger.Info("an agent has ended", "agent", a.cfg.Name)
				}

				a.dog.fail(fmt.Errorf("the %s: %w", a.cfg.Name, ErrAgentEnded))

				return
			}

			p = a.replace(ctx, p)
		case next := <-a.successors:
			p = a.succeed(ctx, p, next)
		case stop := <-a.stopping:
			a.result = a.finish(stop, p) //nolint:contextcheck // it is Shutdown's
			return
		}
	}
}

// successor is what takes an agent's place, with another configuration.
type successor struct {
	Replacement
	// started gets what came of it.
	started chan error
}

// succeed returns the process that takes the place of p, or p if that does not
// come to serve; nil if the agent is to end. Until the one serves, the other does,
// and it has its time to end.
func (a *agent) succeed(ctx context.Context, p *process, next successor) *process {
	// start takes them from cfg, which must be as before if it fails.
	command, config, files := a.cfg.Command, a.cfg.Config, a.cfg.Files
	a.cfg.Config, a.cfg.Files = next.Config, next.Files
	if next.Command != nil {
		a.cfg.Command = next.Command
	}

	timeout := next.StartTimeout
	if timeout == 0 {
		timeout = a.dog.cfg.StartTimeout
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	// What the process that serves has orphaned, as a preloader that a restart has ended, is none of its successor's.
	orphans := a.dog.children.others()

	started, stop, err := a.startUnlessStopped(ctx, cancel, timeout, next.GiveUp)
	switch {
	case stop != nil:
		a.result = errors.Join(a.finishIfStarted(stop, started), a.finish(stop, p))
		next.started <- ErrStopping
		return nil
	case err != nil:
		a.cfg.Command, a.cfg.Config, a.cfg.Files = command, config, files
		a.set(p)

		// One that has told why has ended its processes. Another may have been killed, with processes of its own.
		if _, told := errors.AsType[*FailedError](err); !told {
			a.dog.endOrphans(func(pid int) bool { return slices.Contains(orphans, pid) })
		}

		next.started <- err

		return p
	}

	if next.Restart != nil {
		a.cfg.Config = next.Restart
	}

	a.drain(p)

	// It may take long to end, and meanwhile its successor has to be watched.
	a.retiring.Go(func() {
		p.yield()
		next.started <- nil
		// ctx ends when succeed returns.
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.dog.cfg.ShutdownTimeout)
		defer cancel()
		if err := a.finish(patience, p); err != nil {
			a.dog.cfg.Logger.Error(err, "an agent that was replaced did not end well", "agent", a.cfg.Name)
		}
	})

	return started
}

// drain notes that p may have work for a while.
func (a *agent) drain(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.draining = append(slices.DeleteFunc(a.draining, (*process).hasExited), p)
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// endOrphans ends what a process that has died has left behind. What one that drains
// has orphaned, as a preloader that a restart has ended, may serve, and looks the
// same: then all of it has the time that the draining takes.
func (a *agent) endOrphans() {
	a.mu.Lock()
	draining := slices.DeleteFunc(slices.Clone(a.draining), (*process).hasExited)
	a.mu.Unlock()
	if len(draining) == 0 {
		a.dog.endOrphans(nil)
		return
	}

	left := a.dog.children.others()

	for _, p := range draining {
		<-p.exited
	}

	a.dog.endOrphans(func(pid int) bool { return !slices.Contains(left, pid) })
}

// yield waits until the process takes no more work.
func (p *process) yield() {
	// If it is dead, exited tells.
	_ = p.link.send(&message{Command: Replaced})
	late := time.NewTimer(yieldTime)
	defer late.Stop()

	select {
	case <-p.yielded:
	case <-p.exited:
	case <-late.C:
	}
}

// replace returns a process that serves in the place of a dead one, or nil if
// the agent is to end or cannot be started.
func (a *agent) replace(ctx context.Context, dead *process) *process {
	log := a.dog.cfg.Logger.WithValues("agent", a.cfg.Name)
	log.Error(dead.err, "an agent has died, and is started again", "pid", dead.pid())
	// What serves next need not wait for this.
	go a.endOrphans()
	var pause time.Duration
	if time.Since(dead.ready) < healthy {
		pause = minPause
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	for failures := 0; ; {
		if !a.pause(pause) {
			return nil
		}

		p, stop, err := a.startUnlessStopped(ctx, cancel, a.dog.cfg.StartTimeout, nil)
		if stop != nil {
			a.result = a.finishIfStarted(stop, p)
			return nil
		}

		if err == nil {
			log.Info("an agent serves again", "pid", p.pid())
			return p
		}

		failures++
		limit := a.cfg.MaxFailedStarts
		if limit == 0 {
			limit = defaultMaxFailedStarts
		}

		if limit > 0 && failures >= limit {
			a.dog.fail(fmt.Errorf("the %s was started %d times, in vain: %w", a.cfg.Name, failures, err))
			return nil
		}

		pause = min(max(2*pause, minPause), maxPause)
		log.Error(withAdvice(err), "an agent cannot be started again", "nextTry", pause.String())
	}
}

// pause reports false if the agent is to end before d has passed.
func (a *agent) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}

	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-a.stopping:
		return false
	}
}

// startUnlessStopped is start, unless the agent is to end meanwhile: stop, which
// is not nil then, bounds that. When giveUp is closed, the start fails.
func (a *agent) startUnlessStopped(ctx context.Context, cancel context.CancelCauseFunc, timeout time.Duration,
	giveUp <-chan struct{},
) (p *process, stop context.Context, err error) {
	started := make(chan struct{})
	go func() {
		defer close(started)
		p, err = a.start(ctx, timeout)
	}()

	select {
	case <-started:
	case stop = <-a.stopping:
		cancel(ErrStopping)
		// A start that could not be cancelled any more has a process, which must not be lost.
		<-started
	case <-giveUp:
		cancel(ErrStopping)
		<-started
	}

	return p, stop, err
}

func (a *agent) finishIfStarted(ctx context.Context, p *process) error {
	if p == nil {
		return nil
	}

	return a.finish(ctx, p)
}

// finish asks the process to end, at once when ctx ends, and kills it when it does
// not.
func (a *agent) finish(ctx context.Context, p *process) error {
	defer p.link.close()

	// If it is dead, exited tells.
	_ = p.link.send(&message{Command: Shutdown})
	select {
	case <-p.exited:
		if p.err != nil {
			return fmt.Errorf("the %s: %w", a.cfg.Name, p.err)
		}

		return nil
	case <-ctx.Done():
		_ = p.link.send(&message{Command: Abort})
		abort := time.NewTimer(a.dog.cfg.AbortTimeout)
		defer abort.Stop()

		select {
		case <-p.exited:
		case <-abort.C:
			p.end()
		}

		return fmt.Errorf("the %s: %w", a.cfg.Name, ErrForced)
	}
}

// stop ends the agent and says how that went.
func (a *agent) stop(ctx context.Context) error {
	select {
	case a.stopping <- ctx:
	default: // it was asked before
	}

	<-a.done
	a.retiring.Wait()

	return a.result
}

// replaceBy lets a successor take the agent's place.
func (a *agent) replaceBy(ctx context.Context, next successor) error {
	select {
	case a.successors <- next:
	case <-a.done:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}

	return <-next.started
}
