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

// resists makes an application have so many old processes that serve on after a
// restart whose new release does not start. The spawns that come are counted from here.
func (f *audit) resists(o *passenger.Options, n int) (spawns func() int) {
	f.Helper()
	f.started(o, n)
	f.breaks(true)
	err := f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartRolling})
	requireResisted(f, err)
	require.Len(f, f.pids("a"), n)
	before := f.factory.Spawns()

	return func() int {
		time.Sleep(time.Hour)
		synctest.Wait()
		return f.factory.Spawns() - before
	}
}

func requireResisted(t require.TestingT, err error) {
	require.ErrorAs(t, err, new(*passenger.DeploymentError))
	require.ErrorAs(t, err, new(*spawner.SpawnError))
	require.ErrorIs(t, err, errRefused)
}

func inResistance(t *testing.T, n int, test func(f *audit, o *passenger.Options, spawns func() int)) {
	t.Helper()
	inAudit(t, n+2, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		test(f, o, f.resists(o, n))
	})
}

func TestResistanceHoldsWhateverHappensToAnOldProcess(t *testing.T) {
	for name, happen := range map[string]func(f *audit, o *passenger.Options){
		"disabled and enabled": func(f *audit, _ *passenger.Options) {
			require.NoError(f, f.Disable(f.Context(), "1000"))
			require.NoError(f, f.Enable("1000"))
		},
		"disabled":    func(f *audit, _ *passenger.Options) { require.NoError(f, f.Disable(f.Context(), "1000")) },
		"detached":    func(f *audit, _ *passenger.Options) { require.NoError(f, f.DetachProcess("1000")) },
		"killed idle": func(f *audit, _ *passenger.Options) { require.True(f, f.factory.Kill(1000)) },
		"killed with requests": func(f *audit, o *passenger.Options) {
			s, other := f.get(o), f.get(o)
			waiting := f.serve(o)
			require.True(f, f.factory.Kill(s.PID()))
			synctest.Wait()
			s.Close(passenger.Discard)
			require.Zero(f, waiting.times)
			other.Close(passenger.KeepAlive)
			require.NoError(f, waiting.err, "the other old one serves")
		},
		"out-of-band work": func(f *audit, o *passenger.Options) {
			s := f.get(o)
			s.RequestOOBW()
			s.Close(passenger.KeepAlive)
			time.Sleep(time.Minute)

			require.Len(f, f.worked, 1)
		},
		"more requests than room": func(f *audit, o *passenger.Options) {
			for range 10 {
				f.serve(o)
			}
		},
		"a higher minimum": func(f *audit, o *passenger.Options) {
			more := *o
			more.MinProcesses = 4
			f.serve(&more)
		},
		"a start": func(f *audit, o *passenger.Options) {
			requireResisted(f, f.StartN(f.Context(), o, 3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inResistance(t, 2, func(f *audit, o *passenger.Options, spawns func() int) {
				happen(f, o)
				require.Zero(f, spawns(), "the broken release is not started again")
				require.NotNil(f, f.group("a").DeploymentError)
				s := f.get(o)
				require.Less(f, s.PID(), 1002, "an old one serves")
				s.Close(passenger.KeepAlive)
			})
		})
	}
}

func TestResistanceHoldsWhateverHappensToTheOnlyOldProcess(t *testing.T) {
	for name, happen := range map[string]func(f *audit, o *passenger.Options){
		"disabled": func(f *audit, _ *passenger.Options) {
			err := f.Disable(f.Context(), "1000")
			require.ErrorIs(f, err, passenger.ErrCannotDisable)
			requireResisted(f, err)
		},
		"out-of-band work": func(f *audit, o *passenger.Options) {
			s := f.get(o)
			s.RequestOOBW()
			s.Close(passenger.KeepAlive)
			time.Sleep(time.Minute)
			require.Empty(f, f.worked, "never the last one")
		},
		"the most requests": func(f *audit, o *passenger.Options) {
			limited := *o

			limited.MaxRequests = 2
			for range 10 {
				f.get(&limited).Close(passenger.KeepAlive)
			}
		},
		"idle for long": func(f *audit, o *passenger.Options) {
			none := *o
			none.MinProcesses = 0
			f.get(&none).Close(passenger.KeepAlive)
			time.Sleep(100 * time.Hour)
		},
		"room for another application": func(f *audit, _ *passenger.Options) {
			require.NoError(f, f.SetMaxPoolSize(1))
			ctx, cancel := context.WithTimeout(f.Context(), time.Hour)
			defer cancel()
			f.breaks(false)
			_, err := f.Get(ctx, options("b"))
			require.ErrorIs(f, err, context.DeadlineExceeded)
			f.breaks(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inResistance(t, 1, func(f *audit, o *passenger.Options, spawns func() int) {
				happen(f, o)
				require.Equal(f, []int{1000}, f.pids("a"), "it serves on")
				require.Zero(f, spawns())
				f.get(o).Close(passenger.KeepAlive)
			})
		})
	}
}

func TestResistanceEndsGetsThatWaitForDisabledProcesses(t *testing.T) {
	inResistance(t, 2, func(f *audit, o *passenger.Options, spawns func() int) {
		require.NoError(f, f.Disable(f.Context(), "1000"))
		held := f.get(o)
		waiting := f.serve(o)
		require.Zero(f, waiting.times)
		require.True(f, f.factory.Kill(1001))
		synctest.Wait()
		held.Close(passenger.Discard)
		requireResisted(f, waiting.err)
		_, err := f.Get(f.Context(), o)
		requireResisted(f, err)
		require.Zero(f, spawns())

		require.NoError(f, f.Enable("1000"))
		s := f.get(o)
		require.Equal(f, 1000, s.PID())
		s.Close(passenger.KeepAlive)
	})
}

func TestResistanceLetsThoseWaitWhoseProcessIsBackSoon(t *testing.T) {
	inResistance(t, 2, func(f *audit, o *passenger.Options, _ func() int) {
		s := f.get(o)
		s.RequestOOBW()
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Len(f, f.pids("a"), 1, "the other works out of band")
		require.NoError(f, f.DetachProcess(fmt.Sprint(f.pids("a")[0])))
		waiting := f.serve(o)
		require.Equal(f, 1, f.group("a").QueueLength)
		time.Sleep(time.Second)
		synctest.Wait()
		require.NoError(f, waiting.err)
		require.Equal(f, 1, waiting.times)
	})
}

func TestResistanceEndsWithTheOldProcesses(t *testing.T) {
	inResistance(t, 2, func(f *audit, o *passenger.Options, _ func() int) {
		none := *o
		none.MinProcesses = 0
		f.get(&none).Close(passenger.KeepAlive)
		require.True(f, f.factory.Kill(1000))
		require.True(f, f.factory.Kill(1001))
		synctest.Wait()
		_, err := f.Get(f.Context(), &none)
		require.ErrorIs(f, err, errRefused)
		require.NotNil(f, f.group("a").DeploymentError, "there has been no success yet")

		f.breaks(false)
		f.get(&none).Close(passenger.KeepAlive)
		require.Nil(f, f.group("a").DeploymentError)
		require.EqualValues(f, 1, f.group("a").Processes[0].Generation)
		f.get(&none)
		f.get(&none)
		require.Len(f, f.pids("a"), 2, "it grows as ever")
	})
}

func TestResistanceEndsWithTheOldProcessesWhereSomeNewOnesStarted(t *testing.T) {
	failSecond := func(ctx context.Context, n int, _ spawner.App) error {
		switch n {
		case 5:
			time.Sleep(time.Second)
			return errRefused
		case 6:
			<-ctx.Done() // it comes for the next old one, and is given up
		}

		return nil
	}
	inAudit(t, 4, spawnertest.Script{BeforeSpawn: failSecond}, nil, func(f *audit) {
		o := options("a")
		o.RestartBatchSize = 2
		f.started(o, 3)
		requireResisted(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		generations := map[uint32]int{}

		var old []int
		for _, p := range f.group("a").Processes {
			generations[p.Generation]++
			if p.Generation == 0 {
				old = append(old, p.PID)
			}
		}

		require.Equal(f, map[uint32]int{0: 2, 1: 1}, generations)

		require.True(f, f.factory.Kill(old[0]))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(f, f.pids("a"), 2, "an old one is there")
		require.True(f, f.factory.Kill(old[1]))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(f, f.pids("a"), 3, "the minimum of the new release, which starts")
		require.Nil(f, f.group("a").DeploymentError)
	})
}

func TestResistanceEndsWithTheNextRestart(t *testing.T) {
	for _, method := range []passenger.RestartMethod{passenger.RestartRolling, passenger.RestartBlocking} {
		inResistance(t, 2, func(f *audit, o *passenger.Options, _ func() int) {
			require.NoError(f, f.Disable(f.Context(), "1000"))
			f.breaks(false)
			require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: method}))
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Nil(f, f.group("a").DeploymentError)

			for _, p := range f.group("a").Processes {
				require.EqualValues(f, 2, p.Generation, "one release alone serves")
			}

			require.Len(f, f.pids("a"), 2)
		})
	}
}

func TestResistanceHoldsUpNoShutdown(t *testing.T) {
	inResistance(t, 1, func(f *audit, _ *passenger.Options, _ func() int) {
		require.NoError(f, f.SetMaxPoolSize(1))
		f.breaks(false)
		waiting := f.serve(options("b"))
		require.Equal(f, 1, f.group("b").QueueLength, "the old process of the other application has the only place")
		began := time.Now()
		require.NoError(f, f.Shutdown(f.Context()))
		require.Zero(f, time.Since(began))
		require.NoError(f, waiting.err)
	})
}
