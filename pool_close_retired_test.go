package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// retirements are the ways in which a release comes to its end.
var retirements = map[string]func(f *audit, o *passenger.Options){
	"rolling restart": func(f *audit, _ *passenger.Options) {
		f.begin(passenger.RestartOptions{Method: passenger.RestartRolling})
	},
	"blocking restart": func(f *audit, _ *passenger.Options) {
		f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
	},
	"restart after restart": func(f *audit, _ *passenger.Options) {
		f.begin(passenger.RestartOptions{Method: passenger.RestartRolling})
		f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
		f.begin(passenger.RestartOptions{Method: passenger.RestartRolling})
	},
	"DetachApp": func(f *audit, _ *passenger.Options) {
		go func() { _ = f.DetachApp(f.Context(), "a") }()
	},
	"DetachApp after a restart": func(f *audit, _ *passenger.Options) {
		f.begin(passenger.RestartOptions{})
		go func() { _ = f.DetachApp(f.Context(), "a") }()
	},
	"restart.txt": func(f *audit, o *passenger.Options) {
		touch(f, filepath.Join(o.RestartDir, "restart.txt"), time.Now().Add(time.Hour))
		f.serve(o)
	},
	"always_restart.txt": func(f *audit, o *passenger.Options) {
		touch(f, filepath.Join(o.RestartDir, "always_restart.txt"), time.Now())
		f.serve(o)
	},
}

// ends are the ways in which a pool does.
var ends = map[string]func(f *audit) error{
	"Close":    func(f *audit) error { return f.Close() },
	"Shutdown": func(f *audit) error { return f.Shutdown(f.Context()) },
	"Shutdown that is forced": func(f *audit) error {
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		return f.Shutdown(ctx)
	},
}

func TestPoolThatEndsClosesReleasesThatWereRetiredDuringASpawn(t *testing.T) {
	for how, retire := range retirements {
		for end, endPool := range ends {
			for _, stubborn := range []bool{false, true} {
				for _, cold := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/stubborn=%t/cold=%t", how, end, stubborn, cold), func(t *testing.T) {
						testRetiredDuringASpawn(t, retire, endPool, stubborn, cold)
					})
				}
			}
		}
	}
}

// testRetiredDuringASpawn: the spawn is stubborn if it does not heed its context, and
// cold if it is the first one of its release, which starts the preloader.
func testRetiredDuringASpawn(
	t *testing.T, retire func(*audit, *passenger.Options), endPool func(*audit) error, stubborn, cold bool,
) {
	dir := t.TempDir()
	inAudit(t, 4, spawnertest.Script{StopPreloader: func() {}}, nil, func(f *audit) {
		o := options("a")
		o.RestartDir, o.StatThrottleRate = dir, passenger.Unlimited
		var held *passenger.Session
		if !cold {
			held = f.get(o)
		}

		g := newGate(stubborn)
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = g.beforeSpawn })
		f.serve(o)
		synctest.Wait()
		require.Equal(f, 1, f.group("a").Spawning)

		retire(f, o)
		if held != nil {
			held.Close(passenger.KeepAlive)
		}

		synctest.Wait()

		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = endPool(f)
		}()
		synctest.Wait()
		if stubborn {
			select {
			case <-ended:
				require.Fail(f, "the pool has ended, and a spawn is in progress")
			default:
			}
		}

		close(g.open)
		<-ended
		f.requireNothingLeft(f)
	})
}

func TestPoolThatEndsClosesReleasesOfApplicationsThatItForgot(t *testing.T) {
	for end, endPool := range ends {
		t.Run(end, func(t *testing.T) {
			inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
				f.SetPoolIdleTime(time.Second)
				g := newGate(true)
				f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = g.beforeSpawn })
				asked := f.serve(options("a"))
				synctest.Wait()
				require.True(f, asked.stop())
				f.begin(passenger.RestartOptions{})
				require.Zero(f, f.group("a").Spawning, "it was given up, and is in progress")

				time.Sleep(time.Minute)
				synctest.Wait()
				require.True(f, f.group("a").Detached, "it was forgotten")
				ended := make(chan error, 1)
				go func() { ended <- endPool(f) }()
				synctest.Wait()
				require.Empty(f, ended, "a spawn is in progress")
				close(g.open)
				err := <-ended
				if !errors.As(err, new(*passenger.ShutdownError)) {
					require.NoError(f, err)
				}

				f.requireNothingLeft(f)
			})
		})
	}
}

func TestApplicationsThatArePutAsideAreGoneWithTheirSpawners(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		f.spawners.closing = time.Minute
		f.SetPoolIdleTime(time.Second)
		f.get(options("a")).Close(passenger.KeepAlive)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.True(f, f.group("a").Detached)

		began := time.Now()
		require.NoError(f, f.Close())
		require.Greater(f, time.Since(began), 50*time.Second, "Close waits for the spawner that is being closed")
		f.requireNothingLeft(f)
	})
}

func TestIdlePreloaderIsNotStoppedByAPoolThatHasClosed(t *testing.T) {
	stops := 0
	script := spawnertest.Script{StopPreloader: func() { stops++ }}
	inAudit(t, 2, script, nil, func(f *audit) {
		o := options("a")
		o.MaxPreloaderIdleTime = time.Minute
		f.get(o).Close(passenger.KeepAlive)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		require.NoError(f, f.Close())
		time.Sleep(time.Hour)
		require.Zero(f, stops)
	})
}

func TestCloseDoesNotWaitForTheDrainTimeOfAProcessThatWasKilled(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		o.DrainTimeout, o.MaxRequestTime = time.Hour, time.Minute
		slow := f.get(o)
		require.NoError(f, <-f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking}))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.True(f, slow.TimeIsUp())
		slow.Close(passenger.Discard)

		began := time.Now()
		require.NoError(f, f.Close())
		require.Zero(f, time.Since(began))
	})
}
