package passenger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// Faults that pools meet; docs/faults.md has their codes.

// Faults: A23.
func TestColdApplicationSpawnsOneProcessAtATime(t *testing.T) {
	var spawning, overlapping atomic.Int32
	script := spawnertest.Script{BeforeSpawn: func(context.Context, int, spawner.App) error {
		if spawning.Add(1) > 1 {
			overlapping.Add(1)
		}

		time.Sleep(time.Second)
		spawning.Add(-1)

		return nil
	}}
	inBubble(t, 6, script, func(f *fixture) {
		gets := make([]*asyncGet, 500)
		for i := range gets {
			gets[i] = f.ask(options("a"))
		}

		refused := 0
		for _, a := range gets[100:] {
			if a.err != nil {
				require.ErrorAs(f, a.err, new(*passenger.QueueFullError))
				refused++
			}
		}

		require.Equal(f, 400, refused, "the queue is bounded")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(f, overlapping.Load(), "one is started at a time")
		require.Len(f, f.pids("a"), 6)
	})
}

// Faults: A24.
func TestSpawnCompletesWhenAllClientsHaveLeft(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		gets := make([]*asyncGet, 50)
		for i := range gets {
			gets[i] = f.ask(options("a"))
		}

		for _, a := range gets {
			require.True(f, a.stop())
		}

		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(f, []int{1000}, f.pids("a"), "the spawn completes, and no other begins")
		require.Zero(f, f.group("a").QueueLength)
	})
}

// Faults: A25.
func TestShutdownEndsSpawnInProgress(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{SpawnDelay: time.Hour, StopDelay: time.Hour}, func(f *fixture) {
		waiting := f.ask(options("a"))
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorAs(f, f.Shutdown(ctx), new(*passenger.ShutdownError))
		require.Equal(f, time.Second, time.Since(began))
		require.ErrorIs(f, waiting.err, passenger.ErrClosed)
	})
}

// Faults: B1.
func TestKilledIdleProcessIsReplacedAtOnce(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		began := time.Now()
		require.True(f, f.factory.Kill(1000))
		synctest.Wait()
		require.NotContains(f, f.pids("a"), 1000, "noticed at once")

		for range 100 {
			s := f.get(o)
			_, err := s.Connect(f.Context())
			require.NoError(f, err)
			s.Close(passenger.KeepAlive)
		}

		require.Zero(f, time.Since(began))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(f, f.pids("a"), 2)
	})
}

// Faults: B18.
func TestProcessesThatReachMaxRequestsTogetherAreReplaced(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		o.MaxRequests = 5
		f.started(o, 4)

		for range 10 {
			gets := make([]*asyncGet, 4)
			for i := range gets {
				gets[i] = f.ask(o)
			}

			time.Sleep(10 * time.Second)
			synctest.Wait()

			for _, a := range gets {
				require.NoError(f, a.err)
				a.session.Close(passenger.KeepAlive)
			}
		}

		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Len(f, f.pids("a"), 4)
	})
}

// Faults: B19.
func TestOutOfBandWorkTakesOneProcessAtATimeAndNeverTheLast(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 3)

		sessions := []*passenger.Session{f.get(o), f.get(o), f.get(o)}
		for _, s := range sessions {
			s.RequestOOBW()
		}

		for _, s := range sessions {
			s.Close(passenger.KeepAlive)
		}

		for range 3 {
			synctest.Wait()
			require.Len(f, f.pids("a"), 2, "one at a time")
			time.Sleep(time.Second)
		}

		synctest.Wait()
		require.Len(f, f.pids("a"), 3)
		require.Len(f, f.worked, 3)
	})
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		s.RequestOOBW()
		s.Close(passenger.KeepAlive)
		time.Sleep(time.Minute)
		require.Empty(f, f.worked, "never the last one")
		require.Len(f, f.pids("a"), 1)
	})
}

// Faults: B20.
func TestProcessThatExitsAfterEachResponseIsReplaced(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")

		o.MinProcesses = 1
		for range 100 {
			s := f.get(o)
			require.True(f, f.factory.Process(s.PID()-1000).Die("exit status 0"))
			s.Close(passenger.KeepAlive)
			synctest.Wait()
		}

		require.Len(f, f.pids("a"), 1)
	})
}

// Faults: B21.
func TestRequestsThatAllHangFailByTheirDeadlines(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		o := options("a")
		o.MaxRequestTime, o.MaxRequestQueueTime, o.MaxRequestQueueSize = time.Minute, 30*time.Second, 10

		gets := make([]*asyncGet, 20)
		for i := range gets {
			gets[i] = f.ask(o)
			synctest.Wait()
		}

		time.Sleep(time.Minute)
		synctest.Wait()

		served, late, full := 0, 0, 0
		for _, a := range gets {
			switch {
			case a.err == nil:
				require.True(f, a.session.TimeIsUp())
				a.session.Close(passenger.Discard)
				served++
			case errors.Is(a.err, passenger.ErrQueueTimeout):
				late++
			default:
				require.ErrorAs(f, a.err, new(*passenger.QueueFullError))
				full++
			}
		}

		require.Equal(f, []int{2, 10, 8}, []int{served, late, full})
	})
}

// Faults: G6.
func TestRestartFileTouchedOftenRestartsOncePerInterval(t *testing.T) {
	root := t.TempDir()
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.App.Root = root
		f.get(o).Close(passenger.KeepAlive)

		at := time.Now()
		for i := range 1000 {
			touch(f, filepath.Join(root, "tmp", "restart.txt"), at.Add(time.Duration(i+1)*time.Second))
			f.get(o).Close(passenger.KeepAlive)
			time.Sleep(10 * time.Millisecond)
		}

		time.Sleep(10 * time.Second)
		f.get(o).Close(passenger.KeepAlive)
		synctest.Wait()
		require.LessOrEqual(f, f.group("a").Generation, uint32(2), "at most one each 10 seconds")

		before := f.group("a").Generation
		require.NoError(f, os.RemoveAll(filepath.Join(root, "tmp")))
		require.NoError(f, os.Symlink("tmp", filepath.Join(root, "tmp")))

		for range 3 {
			time.Sleep(10 * time.Second)
			f.get(o).Close(passenger.KeepAlive)
		}

		require.Equal(f, before, f.group("a").Generation)
	})
}

// Faults: G9.
func TestDetachEndsRestartInProgress(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		f.started(o, 3)
		result := f.begin(passenger.RestartOptions{})
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		require.ErrorIs(f, <-result, passenger.ErrAppDetached)
		synctest.Wait()
		require.Zero(f, f.factory.Live())
	})
}

// Faults: G10.
func TestNoApplicationStarvesInAFullPool(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		defer cancel()

		busy := func() {
			for ctx.Err() == nil {
				s, err := f.Get(ctx, options("busy"))
				if err != nil {
					return
				}

				time.Sleep(100 * time.Millisecond)
				s.Close(passenger.KeepAlive)
			}
		}
		for range 10 {
			go busy()
		}

		time.Sleep(time.Minute)

		for range 5 {
			for i := range 4 {
				o := options(fmt.Sprintf("quiet-%d", i))
				began := time.Now()
				f.get(o).Close(passenger.KeepAlive)
				require.Less(f, time.Since(began), 10*time.Second, "none starves")
			}
		}

		cancel()
		time.Sleep(time.Minute)
	})
}

// Faults: G15.
func TestOperationsOnUnknownAppsAndProcessesFail(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		require.ErrorIs(f, f.DetachProcess("4711"), passenger.ErrNoSuchProcess)
		require.ErrorIs(f, f.DetachApp(f.Context(), "b"), passenger.ErrNoSuchApp)
		require.ErrorIs(f, f.Restart(f.Context(), "b", passenger.RestartOptions{}), passenger.ErrNoSuchApp)
		require.NoError(f, f.DetachProcess("1000"), "the last one")
		synctest.Wait()
		require.Equal(f, []int{1001}, f.pids("a"))
	})
}

func TestPreloaderIsStoppedWhenIdle(t *testing.T) {
	var stopped atomic.Int32
	inBubble(t, 3, spawnertest.Script{StopPreloader: func() { stopped.Add(1) }}, func(f *fixture) {
		o := options("a")
		o.MaxPreloaderIdleTime = time.Minute
		f.get(o)
		time.Sleep(50 * time.Second)
		f.get(o)
		time.Sleep(50 * time.Second)
		require.Zero(f, stopped.Load())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.EqualValues(f, 1, stopped.Load())
		f.get(o)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartBlocking}))
		time.Sleep(time.Hour)
		require.EqualValues(f, 1, stopped.Load(), "that of an earlier release is closed")
	})
}

// A tenant does not get into another's group by its name.
// Faults: H10, R-08.
func TestGroupNameIsNotSharedBetweenTenants(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		victim := options("shop")
		f.started(victim, 1)

		for name, change := range map[string]func(*spawner.App){
			"user":        func(a *spawner.App) { a.User = "mallory" },
			"group":       func(a *spawner.App) { a.Group = "mallory" },
			"root":        func(a *spawner.App) { a.Root = "/home/mallory" },
			"environment": func(a *spawner.App) { a.Environment = "mallory" },
		} {
			other := options("shop")
			change(&other.App)
			s := f.get(other)
			require.NotEqual(f, 1000, s.PID(), name)
			s.Close(passenger.KeepAlive)
		}

		s := f.get(victim)
		require.Equal(f, 1000, s.PID())
		s.Close(passenger.KeepAlive)
		require.Len(f, f.Inspect().Groups, 5)
	})
}
