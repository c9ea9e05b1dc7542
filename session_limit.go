package passenger

import (
	"context"
	"errors"
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

func (s *Session) tooLong(fx *effects) {
	s.limit.place.leave()
	pr := s.process
	p := pr.group.pool
	fx.log(p, "A request took longer than it may: killing its process", "app", pr.group.name, "pid", pr.info.PID,
		"limit", pr.group.opts.MaxRequestTime.String())
	pr.group.detach(fx, pr)
	pr.kill()
}

// kill ends a detached process with the sessions it has.
func (pr *process) kill() {
	pr.stopping = true
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	pr.group.pool.wg.Go(func() { pr.proc.Stop(dead) })
}
