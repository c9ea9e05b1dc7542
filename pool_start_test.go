package passenger_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestStartWaitsForTheMinimumAndCountsNoRequest(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		o.MinProcesses, o.MaxRequests = 2, 1
		began := time.Now()
		require.NoError(f, f.Start(f.Context(), o))
		require.Equal(f, 2*time.Second, time.Since(began))

		processes := f.group("a").Processes
		require.Len(f, processes, 2)

		for _, pr := range processes {
			require.Zero(f, pr.Processed)
		}

		require.NoError(f, f.Start(f.Context(), o), "they are there already")
		require.Equal(f, 2, f.factory.Spawns())
	})
}

func TestStartWithoutAMinimumStartsOne(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		require.NoError(f, f.Start(f.Context(), options("a")))
		require.Equal(f, 1, f.factory.Live())

		require.NoError(f, f.StartN(f.Context(), options("a"), 100), "the pool's size bounds it")
		require.Equal(f, 3, f.factory.Live())
	})
}

func TestStartIsNotBoundByTheQueueLimit(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		o := options("a")
		o.MaxRequestQueueSize = 1
		waiting := f.ask(o)
		require.NoError(f, f.Start(f.Context(), o))
		synctest.Wait()
		require.NoError(f, waiting.err)
		require.Equal(f, 1, waiting.times)
	})
}

func TestStartMakesRoomLikeAGet(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		f.get(options("idle")).Close(passenger.KeepAlive)
		require.NoError(f, f.Start(f.Context(), options("a")))
		synctest.Wait()
		require.Empty(f, f.group("idle").Processes)
	})
}

func TestStartReportsEachFailureAndFollowsTheBackOff(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{Failures: map[int]error{1: errRefused, 2: errRefused}}, func(f *fixture) {
		o := options("a")
		o.MinProcesses = 1
		began := time.Now()
		require.ErrorIs(f, f.Start(f.Context(), o), errRefused)
		require.Zero(f, time.Since(began))

		require.ErrorIs(f, f.Start(f.Context(), o), errRefused)
		require.Equal(f, time.Second, time.Since(began))

		require.NoError(f, f.Start(f.Context(), o))
		require.Equal(f, 3*time.Second, time.Since(began))
	})
}

func TestStartIsRefusedWhileADeploymentErrorIsResisted(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		require.NoError(f, f.Start(f.Context(), options("a")))
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = alwaysFail })
		require.Error(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))

		var resisted *passenger.DeploymentError
		require.ErrorAs(f, f.StartN(f.Context(), options("a"), 2), &resisted)
		require.NoError(f, f.Start(f.Context(), options("a")), "the old one serves")
	})
}

func TestStartEndsWithItsContextTheAppAndThePool(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(f *fixture)
		want error
	}{
		"the pool closes":     {func(f *fixture) { require.NoError(f, f.Close()) }, passenger.ErrClosed},
		"the pool shuts down": {func(f *fixture) { require.NoError(f, f.Shutdown(f.Context())) }, passenger.ErrClosed},
		"the app is detached": {
			func(f *fixture) { require.NoError(f, f.DetachApp(f.Context(), "a")) },
			passenger.ErrAppDetached,
		},
		"the context ends": {func(*fixture) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Hour}, func(f *fixture) {
				ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
				defer cancel()
				result := make(chan error, 1)
				go func() { result <- f.Start(ctx, options("a")) }()
				synctest.Wait()
				test.end(f)
				require.ErrorIs(f, <-result, test.want)
			})
		})
	}
}

func TestStartOfBadOptions(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		require.Error(f, f.Start(f.Context(), &passenger.Options{}))
		require.NoError(f, f.Close())
		require.ErrorIs(f, f.Start(f.Context(), options("a")), passenger.ErrClosed)
	})
}

// TestStartIsNoRequest: a process that the pool starts by itself, for a minimum, a
// restart, or in the place of another one, has served nothing and reaches its limit
// with the requests alone.
func TestStartIsNoRequest(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MinProcesses, o.MaxRequests = 3, 2
		processed := func() (n []uint64) {
			synctest.Wait()

			for _, p := range f.group("a").Processes {
				n = append(n, p.Processed)
			}

			return n
		}
		f.get(o).Close(passenger.KeepAlive)
		time.Sleep(time.Minute)
		require.ElementsMatch(f, []uint64{1, 0, 0}, processed())

		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartBlocking}))
		time.Sleep(time.Minute)
		require.Equal(f, []uint64{0, 0, 0}, processed())

		pid := f.group("a").Processes[0].PID

		served := 0
		for range 20 {
			s := f.get(o)
			if s.PID() == pid {
				served++
			}

			s.Close(passenger.KeepAlive)
			time.Sleep(time.Minute)
		}

		require.Equal(f, 2, served)
	})
}
