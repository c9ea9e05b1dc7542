package passenger

import (
	"context"
	"slices"
)

// start is a call of Pool.StartN that waits. Pool.mu guards the group's list of
// them; whoever takes one out of it sends the result, once.
type start struct {
	// want is how many processes the caller waits for.
	want int
	// hadProcess is set when a process has been there: from then on no other
	// application's process has to go for this start. Two of them would take each
	// other's room for ever.
	hadProcess bool
	result     chan error
}

// Start starts the minimum of processes of the application that opts names, one
// at least, and waits until they are attached. It is no request: it counts
// nowhere as one, and no limit of queues applies to it.
//
// Errors: those of opts.Validate; *spawner.SpawnError when a process did not
// start, with which the pool goes on trying as it does for a minimum, after a
// pause that grows; *DeploymentError while a release that did not start is
// resisted; ErrClosed; ErrAppDetached; ctx's, with which the processes start
// later.
func (p *Pool) Start(ctx context.Context, opts *Options) error {
	return p.StartN(ctx, opts, max(opts.MinProcesses, 1))
}

// StartN is Start for n processes, which may be more or fewer than the minimum.
// It waits for no more than opts.MaxProcesses and the size of the pool allow.
// Called again after a failure, it waits for the pool's next attempt, and does
// not hurry it.
func (p *Pool) StartN(ctx context.Context, opts *Options, n int) error {
	s := &start{want: n, result: make(chan error, 1)}
	var g *group
	var err error
	p.update(func(fx *effects) {
		if g, err = p.findOrAddGroupLocked(opts); err == nil {
			err = g.updateLimits(fx, opts)
		}

		if err == nil {
			g.addStart(fx, s)
		}
	})
	if err != nil {
		return err
	}

	select {
	case err := <-s.result:
		return err
	case <-ctx.Done():
	}

	p.update(func(fx *effects) {
		if i := slices.Index(g.starts, s); i >= 0 {
			g.starts = slices.Delete(g.starts, i, i+1)
			s.result <- ctx.Err()
			g.reconcile(fx)
		}
	})

	return <-s.result
}

// addStart lets a start wait for its processes.
func (g *group) addStart(fx *effects, s *start) {
	s.want = min(s.want, g.pool.cfg.MaxPoolSize)
	if g.opts.MaxProcesses > 0 {
		s.want = min(s.want, g.opts.MaxProcesses)
	}

	g.starts = append(g.starts, s)
	if g.isResisting() && g.enabled.len() < s.want {
		g.failStartsLocked(g.deploymentError)
	}

	g.reconcile(fx)
}

// minimum is how many processes are to be there: at all times, or for a start.
func (g *group) minimum() int {
	n := g.opts.MinProcesses
	for _, s := range g.starts {
		n = max(n, s.want)
	}

	return n
}

// finishStartsLocked answers the starts that have their processes.
func (g *group) finishStartsLocked() {
	g.starts = slices.DeleteFunc(g.starts, func(s *start) bool {
		s.hadProcess = s.hadProcess || g.enabled.len() > 0
		if g.enabled.len() < s.want {
			return false
		}

		s.result <- nil

		return true
	})
}

// hasStartWithoutProcess reports whether a start waits for its first process.
func (g *group) hasStartWithoutProcess() bool {
	return slices.ContainsFunc(g.starts, func(s *start) bool { return !s.hadProcess })
}

// failStartsLocked answers all starts with err.
func (g *group) failStartsLocked(err error) {
	for _, s := range g.starts {
		s.result <- err
	}

	g.starts = nil
}
