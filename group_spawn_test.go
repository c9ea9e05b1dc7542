package passenger_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestSpawnFailureEndsAllGets(t *testing.T) {
	broken := &spawner.SpawnError{
		Category: spawner.CategoryStartup,
		Summary:  "broken",
		AppName:  "a",
		ID:       "12345678",
	}
	inBubble(t, 2, spawnertest.Script{SpawnDelay: time.Second, Failures: map[int]error{1: broken}}, func(f *fixture) {
		first, second := f.ask(options("a")), f.ask(options("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Same(f, broken, first.err)
		require.Same(f, broken, second.err)
		third := f.ask(options("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.NoError(f, third.err, "a request's own attempt is not delayed")
		require.Equal(f, 2, f.factory.Spawns())
	})
}

func TestSpawnFailureWithLiveProcessesLetsWaitersWait(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = alwaysFail })
		a := f.ask(options("a"))
		synctest.Wait()
		require.Equal(f, 2, f.factory.Spawns())
		require.Zero(f, a.times)
		require.Zero(f, f.ask(options("a")).times)
		require.Equal(f, 2, f.factory.Spawns(), "the next attempt is spaced")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, 3, f.factory.Spawns())
		s.Close(passenger.KeepAlive)
		require.NoError(f, a.err)
		require.Equal(f, 1000, a.session.PID())
	})
}

func alwaysFail(context.Context, int, spawner.App) error { return errRefused }

func TestMinimumIsKeptAfterACrash(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MinProcesses = 2
		f.get(o).Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 2, f.factory.Live())
		require.True(f, f.factory.Kill(1000))
		synctest.Wait()
		require.Equal(f, 2, f.factory.Live(), "one that had served is replaced at once")
		require.Len(f, f.group("a").Processes, 2)

		none := *o
		none.MinProcesses = 0
		f.get(&none).Close(passenger.KeepAlive)
		require.True(f, f.factory.Kill(1001))
		require.True(f, f.factory.Kill(1002))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(f, f.factory.Live(), "0 means 0")
	})
}

// Faults: A22, P10.
func TestCrashLoopIsSpaced(t *testing.T) {
	var died []time.Duration
	began := time.Time{}
	script := spawnertest.Script{}
	inBubble(t, 1, script, func(f *fixture) {
		began = time.Now()
		o := options("a")
		o.MinProcesses = 1
		f.get(o).Close(passenger.KeepAlive)
		require.True(f, f.factory.Kill(1000))

		for i := 1; time.Since(began) < 5*time.Minute; i++ {
			synctest.Wait()
			if f.factory.Live() > 0 {
				require.True(f, f.factory.Kill(f.factory.LiveProcesses()[0].Info().PID))
				died = append(died, time.Since(began))
			}

			time.Sleep(500 * time.Millisecond)
		}
	})

	var gaps []string
	for i := 1; i < len(died); i++ {
		gaps = append(gaps, (died[i] - died[i-1]).String())
	}

	require.Equal(t, "[1s 2s 4s 8s 16s 32s 1m0s 1m0s 1m0s]", fmt.Sprint(gaps))
}

func TestCrashInARequest(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		waiting := f.ask(options("a"))
		require.True(f, f.factory.Kill(s.PID()))
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		synctest.Wait()
		require.NotEqual(f, s.PID(), waiting.session.PID())
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Len(f, f.group("a").Processes, 1)
	})
}
