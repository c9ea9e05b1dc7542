package passenger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// TestRestartFilesAgainstTheEnd: in real time, gets of an application that is restarted at
// each, or touched again and again, race with what ends it.
func TestRestartFilesAgainstTheEnd(t *testing.T) {
	for what, file := range map[string]string{"always": "always_restart.txt", "touched": "restart.txt"} {
		for how, end := range map[string]func(*passenger.Pool) error{
			"Close":    func(p *passenger.Pool) error { return p.Close() },
			"Shutdown": func(p *passenger.Pool) error { return p.Shutdown(context.Background()) },
			"Shutdown that is forced": func(p *passenger.Pool) error {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := p.Shutdown(ctx); err != nil && !errors.As(err, new(*passenger.ShutdownError)) {
					return err
				}

				return nil
			},
			"DetachApp": func(p *passenger.Pool) error {
				if err := p.DetachApp(context.Background(), "a"); !errors.Is(err, passenger.ErrNoSuchApp) {
					return err
				}

				return nil
			},
		} {
			t.Run(what+"/"+how, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, file)
				touch(t, path, time.Now())

				for range 8 {
					testRestartFilesAgainst(t, dir, path, end)
				}
			})
		}
	}
}

func testRestartFilesAgainst(t *testing.T, dir, path string, end func(*passenger.Pool) error) {
	factory := spawnertest.New(spawnertest.Script{StopPreloader: func() {}})
	spawners, events := &accounts{Factory: factory}, &ledger{}
	pool, err := passenger.New(passenger.Config{
		MaxPoolSize: 3,
		Spawner:     spawners,
		Observer:    events,
		SelfChecks:  true,
	})
	require.NoError(t, err)

	o := options("a")
	o.RestartDir, o.StatThrottleRate = dir, passenger.Unlimited
	var served, stop sync.WaitGroup

	var ended atomic.Bool
	for range 4 {
		served.Add(1)
		stop.Go(func() {
			for i := 0; !ended.Load(); i++ {
				at := time.Now().Add(time.Duration(i) * time.Second)
				require.NoError(t, os.Chtimes(path, at, at))
				if s, err := pool.Get(context.Background(), o); err == nil {
					s.Close(passenger.KeepAlive)
				} else if !errors.Is(err, passenger.ErrClosed) {
					require.ErrorIs(t, err, passenger.ErrAppDetached)
				}

				if i == 3 {
					served.Done()
				}
			}
		})
	}

	served.Wait()

	require.NoError(t, end(pool))
	ended.Store(true)
	stop.Wait()
	require.NoError(t, pool.Close())
	require.Empty(t, factory.LiveProcesses())
	require.Empty(t, spawners.faults(true))
	require.Empty(t, events.faults(), "each restart that was seen to begin has ended")
}

// TestFactoryThatFailsForOneOfABatchInRealTime: what an attempt leaves behind is looked at
// while the next one makes the spawner.
func TestFactoryThatFailsForOneOfABatchInRealTime(t *testing.T) {
	factory := spawnertest.New(spawnertest.Script{StopPreloader: func() {}})
	spawners := &accounts{Factory: factory}
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 8, Spawner: spawners, SelfChecks: true})
	require.NoError(t, err)

	o := options("a")
	o.RestartBatchSize = passenger.Unlimited
	require.NoError(t, pool.StartN(t.Context(), o, 4))
	spawners.refuse = func(n int, _ spawner.App) error {
		if n%3 == 0 {
			return errRefused
		}

		return nil
	}

	for range 100 {
		if err := pool.Restart(t.Context(), "a", passenger.RestartOptions{}); err != nil {
			require.ErrorIs(t, err, errRefused)
		}
	}

	require.NoError(t, pool.Close())
	require.Empty(t, factory.LiveProcesses())
	require.Empty(t, spawners.faults(true))
}
