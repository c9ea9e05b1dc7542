package passenger

import (
	"context"
	"errors"

	"github.com/gopassenger/passenger/hooks"
)

// ErrQueueTimeout is what a get returns that waited for too long.
var ErrQueueTimeout = errors.New("passenger: the request waited for too long for a process")

// limitWait answers a waiter with ErrQueueTimeout when its time is up.
func (w *waiter) limitWait(opts *Options) {
	limit := opts.MaxRequestQueueTime
	if limit <= 0 {
		return
	}

	w.limit = w.group.pool.startTimer(limit, func(fx *effects) {
		if w.group.unqueue(w) {
			fx.deliver(w, nil, ErrQueueTimeout)
			w.group.settle(fx)
		}
	})
}

// sessionLimit ends the time for a request.
type sessionLimit struct {
	timer *poolTimer
	place node[sessionLimit] // in Pool.timed
	// host and path say which request it is.
	host, path string
	up         bool
}

// limitTime kills the process when its request has taken for too long.
func (s *Session) limitTime() {
	g := s.process.group
	limit := g.opts.MaxRequestTime
	if limit <= 0 {
		return
	}

	s.limit = &sessionLimit{timer: g.pool.startTimer(limit, s.tooLong)}
	g.pool.timed.push(&s.limit.place, s.limit)
}

func (s *Session) endLimit() {
	if s.limit != nil {
		s.process.group.pool.stopTimer(s.limit.timer)
		s.limit.place.leave()
	}
}

// TimeIsUp says whether the request took longer than Options.MaxRequestTime, so
// that its process was killed.
func (s *Session) TimeIsUp() (up bool) {
	if s.limit != nil {
		s.process.group.pool.update(func(*effects) { up = s.limit.up })
	}

	return up
}

// Describe says which request the session is for, for the hook that is run when
// it takes too long.
func (s *Session) Describe(host, path string) {
	if s.limit != nil {
		p := s.process.group.pool
		p.update(func(*effects) { s.limit.host, s.limit.path = host, path })
	}
}

func (s *Session) tooLong(fx *effects) {
	s.limit.place.leave()
	s.limit.up = true
	pr := s.process
	g := pr.group
	fx.log(g.pool, "A request took longer than it may: killing its process", "app", g.name, "pid", pr.info.PID,
		"host", s.limit.host, "path", s.limit.path, "limit", g.opts.MaxRequestTime.String())
	g.detach(fx, pr)
	if !g.pool.hooks.Has(hooks.MaxRequestTimeReached) {
		pr.kill()
		return
	}

	event := hooks.Event{
		Name:        hooks.MaxRequestTimeReached,
		AppRoot:     g.opts.App.Root,
		GroupName:   g.name,
		PID:         pr.info.PID,
		RequestHost: s.limit.host,
		RequestPath: s.limit.path,
	}
	g.pool.wg.Go(func() { pr.killAfterHook(event) })
}

// killAfterHook lets the hook look at the process first. That it fails changes
// nothing.
func (pr *process) killAfterHook(event hooks.Event) {
	p := pr.group.pool
	ctx, cancel := context.WithTimeout(p.spawnCtx, hookTimeout)
	defer cancel()
	defer p.update(func(*effects) { pr.kill() })
	if err := p.hooks.Run(ctx, event); err != nil {
		p.cfg.Logger.Error(err, "a hook failed", "hook", string(event.Name), "app", event.GroupName, "pid", event.PID)
	}
}

// kill ends a detached process with the sessions it has.
func (pr *process) kill() {
	p := pr.group.pool
	pr.stopping = true
	p.stopTimer(pr.drain)
	p.wg.Go(func() { pr.proc.Stop(p.deadCtx) })
}
