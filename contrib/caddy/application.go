package passengercaddy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/gopassenger/passenger"
)

// identity identifies an application, as the pool does.
type identity struct{ name, root, environment, user, group string }

func identify(o *passenger.Options) identity {
	return identity{o.App.Name(), o.App.Root, o.App.Environment, o.App.User, o.App.Group}
}

// application is an application that at least one configuration has.
type application struct {
	id     identity
	name   string // in the pool
	shared *shared

	flights flights

	mu      sync.Mutex
	uses    []*use // of the configurations that have it, the newest last
	applied passenger.Options
}

// use is one configuration's options of an application.
type use struct{ options passenger.Options }

// names keeps those of applications apart which say that they are of one name.
var names struct {
	sync.Mutex
	taken map[string]bool
}

func takeName(name string) string {
	names.Lock()
	defer names.Unlock()
	if names.taken == nil {
		names.taken = map[string]bool{}
	}

	free := name
	for n := 2; names.taken[free]; n++ {
		free = fmt.Sprintf("%s #%d", name, n)
	}

	names.taken[free] = true

	return free
}

func freeName(name string) {
	names.Lock()
	defer names.Unlock()
	delete(names.taken, name)
}

// joinApplication returns the application, and keeps the pool for as long.
func joinApplication(id identity, a *App) (*application, error) {
	s, err := joinPoolOf(a)
	if err != nil {
		return nil, err
	}

	value, _, err := applications.LoadOrNew(id, func() (caddy.Destructor, error) {
		return &application{id: id, name: takeName(id.name), shared: s}, nil
	})
	if err != nil {
		return nil, errors.Join(err, leavePool())
	}

	return value.(*application), nil //nolint:errcheck // nothing else is stored
}

// joinPoolOf adds a user of the pool.
func joinPoolOf(a *App) (*shared, error) {
	value, _, err := pools.LoadOrNew(poolKey{}, func() (caddy.Destructor, error) { return newShared(a) })
	if err != nil {
		return nil, err
	}

	return value.(*shared), nil //nolint:errcheck // nothing else is stored
}

// join adds the options of a configuration that is about to start.
func (a *application) join(opts *passenger.Options) *use {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := &use{*opts}
	if len(a.uses) == 0 {
		a.applied = u.options
	}

	a.uses = append(a.uses, u)

	return u
}

// leave removes a configuration. If the newest remaining one has other options, it restarts the
// application, one process after the other.
func (a *application) leave(u *use) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uses = slices.DeleteFunc(a.uses, func(other *use) bool { return other == u })
	if len(a.uses) == 0 {
		return
	}

	newest := a.uses[len(a.uses)-1].options
	if reflect.DeepEqual(perProcess(newest), perProcess(a.applied)) {
		a.applied = newest
		return
	}

	a.applied = newest
	log := a.shared.logger.WithValues("app", a.name)

	n, wait, err := a.shared.pool.BeginRestart(a.name, passenger.RestartOptions{Options: &newest})
	switch {
	case err != nil:
		log.Error(err, "cannot restart with the new options")
	case n > 0: // one without processes has the new options with its first request
		log.Info("restarting with changed options")
		endings.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), restartTimeout)
			defer cancel()
			if err := wait(ctx); err != nil && !errors.Is(err, passenger.ErrClosed) &&
				!errors.Is(err, passenger.ErrAppDetached) {
				log.Error(err, "the restart with the new options failed")
			}
		})
	}
}

// perProcess leaves out the options that take effect with each request, without a restart.
func perProcess(o passenger.Options) passenger.Options {
	o.MinProcesses, o.MaxProcesses, o.MaxRequests, o.MaxRequestTime = 0, 0, 0, 0
	o.MaxRequestQueueSize, o.MaxRequestQueueTime = 0, 0

	return o
}

// release undoes joinApplication.
func (a *application) release() error {
	_, err := applications.Delete(a.id)
	return errors.Join(err, leavePool())
}

// Destruct ends the processes when no configuration has the application any more.
func (a *application) Destruct() error {
	defer freeName(a.name)
	a.flights.end(drainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := a.shared.pool.DetachApp(ctx, a.name)
	if err == nil || errors.Is(err, passenger.ErrNoSuchApp) || errors.Is(err, passenger.ErrClosed) {
		return nil
	}

	a.shared.logger.Error(err, "the application did not end in order", "app", a.name)

	return fmt.Errorf("passenger: %s did not end in order: %w", a.name, err)
}
