package watchdog

import (
	"context"
	"fmt"
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

// begin starts the agent's first process, and lets it live if that serves.
func (a *agent) begin(ctx context.Context) error {
	p, err := a.start(ctx)
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
					a.dog.cfg.Logger.Info("An agent has ended", "agent", a.cfg.Name)
				}
				a.dog.fail(fmt.Errorf("the %s: %w", a.cfg.Name, ErrAgentEnded))
				return
			}
			p = a.replace(ctx, p)
		case stop := <-a.stopping:
			a.result = a.finish(stop, p) //nolint:contextcheck // it is Shutdown's
			return
		}
	}
}

// replace returns a process that serves in the place of a dead one, or nil if
// the agent is to end or cannot be started.
func (a *agent) replace(ctx context.Context, dead *process) *process {
	log := a.dog.cfg.Logger.WithValues("agent", a.cfg.Name)
	log.Error(dead.err, "An agent has died, and is started again", "pid", dead.pid())
	go a.dog.endOrphans()
	var pause time.Duration
	if time.Since(dead.ready) < healthy {
		pause = minPause
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for failures := 0; ; {
		if !a.pause(pause) {
			return nil
		}
		p, err := a.startUnlessStopped(ctx, cancel)
		if err == nil {
			if p != nil {
				log.Info("An agent serves again", "pid", p.pid())
			}
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
		log.Error(err, "An agent cannot be started again", "nextTry", pause.String())
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

// startUnlessStopped is start; nil if the agent is to end before it serves.
func (a *agent) startUnlessStopped(ctx context.Context, cancel func()) (p *process, err error) {
	started := make(chan struct{})
	go func() {
		defer close(started)
		p, err = a.start(ctx)
	}()
	select {
	case <-started:
		return p, err
	case stop := <-a.stopping:
		cancel()
		<-started
		if p != nil {
			a.result = a.finish(stop, p) //nolint:contextcheck // it is Shutdown's
		}
		return nil, nil
	}
}

// finish asks the process to end, at once when ctx ends, and kills it when it does
// not.
func (a *agent) finish(ctx context.Context, p *process) error {
	defer p.link.close()
	_ = p.link.send(&message{Command: Shutdown}) // if it is dead, exited tells
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
	return a.result
}
