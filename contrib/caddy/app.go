package passengercaddy

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/gopassenger/passenger"
)

// App is the module passenger, the global option: what all applications share.
type App struct {
	// MaxPoolSize bounds the processes of all applications together; zero means 6.
	MaxPoolSize int `json:"max_pool_size,omitempty"`
	// PoolIdleTime is after how long a process is stopped that has nothing to do; zero
	// means 5 minutes, a negative value never.
	PoolIdleTime caddy.Duration `json:"pool_idle_time,omitempty"`
	// UserSwitching is on or off; empty: on, by which applications of a Caddy that runs
	// as root run as their owner, or as DefaultUser and DefaultGroup where that is root.
	UserSwitching string `json:"user_switching,omitempty"`
	DefaultUser   string `json:"default_user,omitempty"`
	DefaultGroup  string `json:"default_group,omitempty"`

	ctx    caddy.Context
	shared *shared
	// sites are this configuration's, by what tells applications apart.
	sites map[identity]*Handler
	// all are the sites with those that share an application.
	all []*Handler
}

// CaddyModule returns what Caddy knows the module by.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "passenger",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision makes the pool, or takes part in the one that is there.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.sites = ctx, map[identity]*Handler{}
	if a.MaxPoolSize < 0 {
		return fmt.Errorf("passenger: max_pool_size is %d: it must be at least 1, or 0 for %d", a.MaxPoolSize,
			passenger.DefaultMaxPoolSize)
	}

	if a.UserSwitching != "" && a.UserSwitching != "on" && a.UserSwitching != "off" {
		return fmt.Errorf("passenger: user_switching is %q: use on or off", a.UserSwitching)
	}

	var err error
	if a.shared, err = joinPool(a); err != nil {
		return fmt.Errorf("passenger: %w", err)
	}

	// Before the servers stop, which wait for their requests: streams would be waited
	// for until their clients go.
	loaded, err := ctx.App("events")
	if err != nil {
		return err
	}

	events, ok := loaded.(*caddyevents.App)
	if !ok {
		return errors.New("passenger: the Caddy app events is another one's")
	}

	return events.On("stopping", drainer{a})
}

// Start has the minimum of each application started before the first request.
func (a *App) Start() error {
	for _, site := range a.sites {
		if site.MinProcesses == 0 {
			continue
		}

		opts := site.use.options
		endings.Go(func() {
			err := a.shared.pool.Start(a.ctx, &opts)
			if err != nil && !errors.Is(err, context.Canceled) {
				a.ctx.Slogger().Error("the application does not start", "app", opts.App.Name(), "reason", err.Error())
			}
		})
	}

	return nil
}

// Stop is for Caddy: what ends, ends with Cleanup.
func (a *App) Stop() error { return nil }

// Cleanup leaves the pool to other configurations.
func (a *App) Cleanup() error {
	if a.shared == nil {
		return nil
	}

	a.shared.leave(a)

	return leavePool()
}

// join takes part in the application that the options name.
func (a *App) join(h *Handler, opts *passenger.Options) (*application, *use, error) {
	id := identify(opts)
	if other := a.sites[id]; other != nil && !reflect.DeepEqual(&other.Config, &h.Config) {
		return nil, nil, errors.New("two sites have this application, with different options: give one of them " +
			"another name")
	}

	app, err := joinApplication(id, a)
	if err != nil {
		return nil, nil, err
	}

	a.sites[id] = h
	a.all = append(a.all, h)
	own := *opts
	own.App.GroupName = app.name

	return app, app.join(&own), nil
}

// drainer ends the streams of a Caddy that exits. A reload leaves them alone.
type drainer struct{ app *App }

// Handle gets the event.
func (d drainer) Handle(context.Context, caddy.Event) error {
	if caddy.Exiting() {
		for _, site := range d.app.all {
			site.direct.Drain()
			site.proxied.Drain()
		}
	}

	return nil
}

var (
	_ caddy.App           = (*App)(nil)
	_ caddy.Provisioner   = (*App)(nil)
	_ caddy.CleanerUpper  = (*App)(nil)
	_ caddyevents.Handler = drainer{}
)
