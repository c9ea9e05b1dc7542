package passengercaddy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-logr/logr"
	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

const (
	// drainTimeout limits the time for requests of an old configuration, and for processes when
	// Caddy exits.
	drainTimeout = time.Minute
	// metricsInterval is the time between two measurements of memory.
	metricsInterval = 10 * time.Second
	// restartTimeout only limits the wait for the log: the restart continues.
	restartTimeout = 10 * time.Minute
)

// pools has the one pool by poolKey, and applications has those that run.
var (
	pools        = caddy.NewUsagePool()
	applications = caddy.NewUsagePool()
)

type poolKey struct{}

// endings are goroutines that Caddy waits for when it exits.
var (
	endings     sync.WaitGroup
	waitEndings = sync.OnceFunc(func() { caddy.OnExit(func(context.Context) { endings.Wait() }) })
)

// shared is the pool of all configurations.
type shared struct {
	pool      *passenger.Pool
	processes spawner.Factory
	spawning  spawner.Config
	logger    logr.Logger

	mu   sync.Mutex
	apps []*App // those that use it, the newest last
	logs *currentLog
}

func (a *App) spawning() spawner.Config {
	cfg := spawner.Config{DefaultUser: a.DefaultUser, DefaultGroup: a.DefaultGroup, Version: passenger.Version}
	if a.UserSwitching == "off" {
		cfg.Users = spawner.SameUser
	}

	return cfg
}

// joinPool returns the pool, and makes it if there is none.
func joinPool(a *App) (*shared, error) {
	value, _, err := pools.LoadOrNew(poolKey{}, func() (caddy.Destructor, error) { return newShared(a) })
	if err != nil {
		return nil, inOurWords(err)
	}

	s := value.(*shared) //nolint:errcheck // nothing else is stored

	was, is := s.spawning, a.spawning()
	if was.Users != is.Users || was.DefaultUser != is.DefaultUser || was.DefaultGroup != is.DefaultGroup {
		_, err := pools.Delete(poolKey{})

		return nil, errors.Join(
			errors.New("user_switching, default_user and default_group cannot change while Caddy runs: restart it"),
			err)
	}

	s.mu.Lock()
	s.apps = append(s.apps, a)
	s.mu.Unlock()

	return s, nil
}

func leavePool() error {
	_, err := pools.Delete(poolKey{})
	return err
}

func newShared(a *App) (*shared, error) {
	waitEndings()
	s := &shared{logs: &currentLog{}}
	s.logs.use(a.ctx.Slogger().Handler())
	s.logger = logr.FromSlogHandler(&logHandler{current: s.logs})
	s.spawning = a.spawning()
	s.spawning.Logger = s.logger

	var err error
	if s.processes, err = spawner.New(s.spawning); err != nil {
		return nil, err
	}

	s.pool, err = passenger.New(passenger.Config{
		MaxPoolSize:     a.MaxPoolSize,
		PoolIdleTime:    time.Duration(a.PoolIdleTime),
		Spawner:         s.processes,
		OutOfBandWork:   handler.OutOfBandWork,
		MetricsInterval: metricsInterval,
		Logger:          s.logger,
	})
	if err != nil {
		return nil, errors.Join(err, s.processes.Close())
	}

	return s, nil
}

// leave lets the newest remaining configuration decide. A new one has started when the old one
// leaves; a rejected one leaves by itself.
func (s *shared) leave(a *App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps = slices.DeleteFunc(s.apps, func(other *App) bool { return other == a })
	if len(s.apps) == 0 {
		return
	}

	newest := s.apps[len(s.apps)-1]
	s.logs.use(newest.ctx.Slogger().Handler())
	_ = s.pool.SetMaxPoolSize(cmp.Or(newest.MaxPoolSize, passenger.DefaultMaxPoolSize)) // Provision has checked it
	s.pool.SetPoolIdleTime(time.Duration(newest.PoolIdleTime))
}

// Destruct ends the pool after its last application.
func (s *shared) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := errors.Join(s.pool.Shutdown(ctx), s.processes.Close()); err != nil {
		return fmt.Errorf("passenger: the pool did not end in order: %w", err)
	}

	return nil
}
