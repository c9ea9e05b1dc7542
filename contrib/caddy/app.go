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

// App is the module passenger, the global option, with the settings that all applications share.
type App struct {
	// MaxPoolSize limits the processes of all applications together; zero means 6.
	MaxPoolSize int `json:"max_pool_size,omitempty"`
	// PoolIdleTime is the idle time after which a process is stopped; zero means 5 minutes, a
	// negative value never.
	PoolIdleTime caddy.Duration `json:"pool_idle_time,omitempty"`
	// UserSwitching is on or off; empty means on. If Caddy runs as root, it makes applications run
	// as their owner, or as DefaultUser and DefaultGroup if that is root.
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

// CaddyModule returns the ID of the module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "passenger",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision makes the pool, or joins the existing one.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.sites = ctx, map[identity]*Handler{}
	if err := a.replacePlaceholders(); err != nil {
		return fmt.Errorf("passenger: %w", err)
	}

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

	// The event comes before the servers stop, which wait for their requests. Streams would last
	// until their clients leave.
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

func (a *App) replacePlaceholders() error {
	return replaceTexts(map[string]*string{
		"user_switching": &a.UserSwitching,
		"default_user":   &a.DefaultUser,
		"default_group":  &a.DefaultGroup,
	})
}

// Start starts the minimum of each application, before the first request.
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

// Stop does nothing; Cleanup ends what has to end.
func (a *App) Stop() error { return nil }

// Cleanup leaves the pool.
func (a *App) Cleanup() error {
	if a.shared == nil {
		return nil
	}

	a.shared.leave(a)

	return leavePool()
}

// join joins the application that the options name.
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

// drainer ends the streams when Caddy exits. A reload leaves them alone.
type drainer struct{ app *App }

// Handle receives the event.
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
