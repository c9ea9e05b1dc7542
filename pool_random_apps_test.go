package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

// doRestart leaves the restart to itself: the bubble does not end before it.
func (c *chaos) doRestart() {
	name, o := c.appName(), passenger.RestartOptions{Method: passenger.RestartMethod(c.choose(3))}
	if c.choose(3) == 0 {
		o.Options = c.appOptions(name)
		o.Options.MinProcesses, o.Options.MaxOutOfBandWorkInstances = c.choose(3), c.choose(3)
		c.with(name, func(app *appModel) { app.begin(o.Options) })
	}

	c.expect("restart", name, func() error { return c.Restart(c.Context(), name, o) }, passenger.ErrNoSuchApp,
		passenger.ErrPoolFull, passenger.ErrAppDetached, passenger.ErrClosed)
}

// doStart waits elsewhere, and not for ever.
func (c *chaos) doStart() {
	name, n := c.appName(), c.choose(5)
	o := c.appOptions(name)
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(c.choose(10))*time.Second)
	c.with(name, func(app *appModel) {
		app.begin(o)
		app.calls++
	})
	c.expect("start", name, func() error {
		defer cancel()
		defer c.with(name, func(app *appModel) { app.calls-- })
		return c.StartN(ctx, o, n)
	}, context.DeadlineExceeded, passenger.ErrAppDetached, passenger.ErrClosed)
}

// doDetachApp checks that nothing is left when DetachApp has returned, unless a get has
// asked for the application meanwhile.
func (c *chaos) doDetachApp() {
	name := c.appName()
	begun, calls := 0, 0
	c.with(name, func(app *appModel) {
		app.detached++
		app.detaching++
		begun, calls = app.begun, app.calls
	})
	c.expect("detaching", name, func() error {
		err := c.DetachApp(c.Context(), name)
		left := c.left(name)
		c.with(name, func(app *appModel) {
			app.detaching--
			if err != nil || app.begun != begun || calls > 0 {
				return
			}

			app.quiet = true

			for _, what := range left {
				c.fault("%s was detached, and there is %s", name, what)
			}
		})

		return err
	}, passenger.ErrNoSuchApp, passenger.ErrClosed)
}

// left is what is left of an application.
func (c *chaos) left(name string) (left []string) {
	c.mu.Lock()
	killing := c.killing // sessions that were not closed are seen for as long
	c.mu.Unlock()
	if g := c.Inspect().Group(name); g != nil && !killing {
		left = append(left, fmt.Sprintf("its group: %+v", g))
	}

	for _, p := range c.factory.LiveProcesses() {
		if app := p.App(); app.Name() == name {
			left = append(left, fmt.Sprintf("process %d", p.Info().PID))
		}
	}

	if n := c.spawners.open(name); n > 0 {
		left = append(left, fmt.Sprintf("%d open spawners", n))
	}

	return left
}

// doCalm lets everything heal, now and then, and requires that each application then
// serves.
func (c *chaos) doCalm() {
	if c.choose(4) > 0 || c.ending {
		return
	}

	c.heal()
	c.closeAll()
	c.armed.Store("")
	defer func() { c.sessions.closing = false }()

	// What has begun before may still fail.
	time.Sleep(time.Minute)

	for _, g := range c.Inspect().Groups {
		for _, pr := range g.Processes {
			_ = c.Enable(pr.GUPID)
		}

		if g.DeploymentError != nil && !g.Detached {
			_, _, err := c.BeginRestart(g.Name, passenger.RestartOptions{Method: passenger.RestartRolling})
			require.NoError(c, err)
		}
	}

	time.Sleep(10 * time.Minute)
	c.settle()

	for i := range allApps {
		name := fmt.Sprintf("app-%d", i)
		a := &asked{app: name, opts: c.appOptions(name)}
		a.opts.MaxRequestQueueSize = passenger.Unlimited
		c.ask(a)
		time.Sleep(5 * time.Minute)
		c.settle()
		if a.times != 1 || a.err != nil {
			require.NoError(c, errors.Join(errors.New("it is not served"), a.err), "%s: %+v", name, c.Inspect())
		}
	}
}
