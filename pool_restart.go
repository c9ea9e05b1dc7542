package passenger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNoSuchApp says that the pool has no application of that name.
var ErrNoSuchApp = errors.New("passenger: no such application")

// Restart restarts the applications of this group name and waits until their
// new processes serve: all of them in a rolling restart, the first in a
// blocking one. An application that has no process starts none.
//
// Errors: ErrNoSuchApp; *spawner.SpawnError when a new process did not start,
// within a *DeploymentError when old ones serve on; ErrClosed; or ctx's, with
// which the restart goes on.
func (p *Pool) Restart(ctx context.Context, name string, o RestartOptions) error {
	n, err := p.restart(ctx, o, func(g *group) bool { return g.name == name })
	if n == 0 && err == nil {
		return fmt.Errorf("%w: %s", ErrNoSuchApp, name)
	}
	return err
}

// RestartAppRoot is Restart for all applications in this directory. It returns
// how many there are, which may be none.
func (p *Pool) RestartAppRoot(ctx context.Context, root string, o RestartOptions) (int, error) {
	return p.restart(ctx, o, func(g *group) bool { return g.opts.App.Root == root })
}

// BeginRestart begins to restart the applications of this group name that have
// one of these API keys, and returns how many there are, which may be none.
// wait does what Restart does from then on, and need not be called.
//
// Errors: ErrClosed, and those of o.Options.Validate.
func (p *Pool) BeginRestart(name string, apiKeys []string, o RestartOptions) (n int, wait func(context.Context) error, err error) {
	results, err := p.beginRestarts(o, func(g *group) bool {
		return g.name == name && slices.Contains(apiKeys, g.apiKey)
	})
	return len(results), results.wait, err
}

func (p *Pool) restart(ctx context.Context, o RestartOptions, match func(*group) bool) (int, error) {
	results, err := p.beginRestarts(o, match)
	if err != nil {
		return 0, err
	}
	return len(results), results.wait(ctx)
}

// restartResults get how the restarts end, each a value.
type restartResults []chan error

func (r restartResults) wait(ctx context.Context) error {
	var errs []error
	for _, result := range r {
		select {
		case err := <-result:
			result <- err // for another wait
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

func (p *Pool) beginRestarts(o RestartOptions, match func(*group) bool) (results restartResults, err error) {
	if o.Options != nil {
		if err := o.Options.Validate(); err != nil {
			return nil, err
		}
	}
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}
		for g := range p.allGroups {
			if !g.removed && match(g) {
				result := make(chan error, 1)
				results = append(results, result)
				g.beginRestart(fx, &o, func(err error) { result <- err })
			}
		}
	})
	return results, err
}
