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
// blocking one. An application that has no process, no minimum and nobody who waits
// starts none.
//
// Errors: ErrNoSuchApp; *spawner.SpawnError when a new process did not start,
// within a *DeploymentError when old ones serve on; ErrPoolFull when there is no old
// process and no room for a new one, which starts when there is; ErrAppDetached;
// ErrClosed; those of o.Options.Validate, and one of Options of another application,
// with which nothing is restarted; or ctx's, with which the restart goes on. Those of
// several applications are joined.
func (p *Pool) Restart(ctx context.Context, name string, o RestartOptions) error {
	n, wait, err := p.BeginRestart(name, o)
	switch {
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("%w: %s", ErrNoSuchApp, name)
	}

	return wait(ctx)
}

// RestartAppRoot is Restart for all applications in this directory. It returns
// how many there are, which may be none.
func (p *Pool) RestartAppRoot(ctx context.Context, root string, o RestartOptions) (int, error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.opts.App.Root == root })
	if err != nil {
		return 0, err
	}

	return len(results), results.wait(ctx)
}

// BeginRestart begins to restart the applications of this group name and returns how
// many there are, which may be none. wait does what Restart does from then on, and
// need not be called.
//
// Errors: ErrClosed, and those of o.Options as Restart has them.
func (p *Pool) BeginRestart(name string, o RestartOptions) (n int, wait func(context.Context) error, err error) {
	results, err := p.beginRestarts(o, func(g *group) bool { return g.name == name })

	return len(results), results.wait, err
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

		var groups []*group
		for g := range p.allGroups {
			if g.removed || !match(g) || o.Allowed != nil && !o.Allowed(g.identity()) {
				continue
			}

			if o.Options != nil && !o.Options.isOf(g) {
				err = errOtherApp(o.Options, g)
				return
			}

			groups = append(groups, g)
		}

		for _, g := range groups {
			result := make(chan error, 1)
			results = append(results, result)
			g.beginRestart(fx, &o, func(err error) { result <- err })
		}
	})

	return results, err
}

func errOtherApp(o *Options, g *group) error {
	return fmt.Errorf("passenger: cannot restart %s with the options of another application: theirs is %s, and "+
		"must be %s",
		g.name, o.describeApp(), g.opts.describeApp())
}

// describeApp says by what the application is told apart from others.
func (o *Options) describeApp() string {
	return fmt.Sprintf("%q in %q, environment %q, user %q, group %q", o.App.Name(), o.App.Root, o.App.Environment,
		o.App.User, o.App.Group)
}
