package passenger

import (
	"context"
	"errors"
	"fmt"
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

func (p *Pool) restart(ctx context.Context, o RestartOptions, match func(*group) bool) (n int, err error) {
	if o.Options != nil {
		if err := o.Options.Validate(); err != nil {
			return 0, err
		}
	}
	var results []chan error
	p.update(func(fx *effects) {
		if p.state != poolOpen {
			err = ErrClosed
			return
		}
		for g := range p.allGroups {
			if match(g) {
				n++
				result := make(chan error, 1)
				results = append(results, result)
				g.beginRestart(fx, &o, func(err error) { result <- err })
			}
		}
	})
	var errs []error
	for _, result := range results {
		select {
		case err := <-result:
			errs = append(errs, err)
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	return n, errors.Join(append(errs, err)...)
}
