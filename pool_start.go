package passenger

import (
	"context"
	"slices"
)

// start is a pending call of Pool.StartN. Pool.mu guards the group's list of them; whatever takes
// one off it sends the result, once.
type start struct {
	// want is the number of processes that the caller waits for.
	want int
	// hadProcess is set once a process has been there. From then on, no process of another
	// application is stopped for this start: two starts could take each other's room for ever.
	hadProcess bool
	result     chan error
}

// Start starts the minimum of processes of the application that opts name, at least one, and waits
// until they are attached. It is not counted as a request, and no limit of the queue applies to it.
//
// Errors: those of opts.Validate; *spawner.SpawnError when a process does not start, in which case
// the pool tries again, as for a minimum, after a growing pause; *DeploymentError while old
// processes serve because the new release does not start; ErrClosed; ErrAppDetached; that of ctx,
// in which case the processes start later.
func (p *Pool) Start(ctx context.Context, opts *Options) error {
	return p.StartN(ctx, opts, max(opts.MinProcesses, 1))
}

// StartN is Start for n processes, which may be more or fewer than the minimum. It waits for no
// more than opts.MaxProcesses and the size of the pool allow. After a failure, a further call waits
// for the pool's next attempt and does not hasten it.
func (p *Pool) StartN(ctx context.Context, opts *Options, n int) error {
	s := &start{want: n, result: make(chan error, 1)}
	var g *group
	var err error

	// Before the first process: the first request may come long after it, and after a deploy.
	files := statRestartFiles(opts.restartDir(), nil)
	p.update(func(fx *effects) {
		if g, err = p.findOrAddGroupLocked(opts); err == nil {
			err = g.updateLimits(fx, opts)
		}

		if err == nil {
			g.watch.setBaseline(files)
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

	// If it is no longer on the list, its result is there.
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

// minimum is the number of processes to keep, at all times or for a start.
func (g *group) minimum() int {
	n := g.opts.MinProcesses
	for _, s := range g.starts {
		n = max(n, s.want)
	}

	return n
}

// finishStartsLocked ends the starts that have their processes.
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

// failStartsLocked ends all starts with err.
func (g *group) failStartsLocked(err error) {
	for _, s := range g.starts {
		s.result <- err
	}

	g.starts = nil
}
