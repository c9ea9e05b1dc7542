package passenger_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func TestRestartWithoutRoomReturns(t *testing.T) {
	for _, method := range []passenger.RestartMethod{passenger.RestartRolling, passenger.RestartBlocking} {
		inAudit(t, 1, spawnertest.Script{}, nil, func(f *audit) {
			busy := f.get(options("busy"))
			a := options("a")
			a.MinProcesses = 1
			waiting := f.serve(a)
			require.Equal(f, 1, f.group("a").QueueLength)
			require.ErrorIs(f, <-f.begin(passenger.RestartOptions{Method: method}), passenger.ErrPoolFull)
			require.False(f, f.group("a").Restarting)

			busy.Close(passenger.KeepAlive)
			synctest.Wait()
			require.NoError(f, waiting.err, "it starts when there is room")
			require.EqualValues(f, 1, f.group("a").Processes[0].Generation)
		})
	}
}

func TestBlockingRestartWhoseRoomIsTakenReturns(t *testing.T) {
	inAudit(t, 1, spawnertest.Script{}, nil, func(f *audit) {
		a := options("a")
		a.MinProcesses = 1
		held := f.get(a)
		other := f.serve(options("b"))
		require.Equal(f, []string{"b"}, f.Inspect().WaitingForCapacity)
		result := f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking})
		require.ErrorIs(f, <-result, passenger.ErrPoolFull, "the one that waited takes it")
		held.Close(passenger.KeepAlive)
		synctest.Wait()
		require.NoError(f, other.err)
	})
}

func TestRestartOfAnApplicationWithoutProcessesReturns(t *testing.T) {
	for _, method := range []passenger.RestartMethod{passenger.RestartRolling, passenger.RestartBlocking} {
		inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
			f.get(options("a")).Close(passenger.KeepAlive)
			require.NoError(f, f.DetachProcess("1000"))
			synctest.Wait()
			require.NoError(f, <-f.begin(passenger.RestartOptions{Method: method}))
			require.EqualValues(f, 1, f.group("a").Generation)
			require.Equal(f, 1, f.factory.Spawns(), "no request needs a process")

			o := options("a")
			o.MinProcesses = 1
			f.breaks(true)
			_, err := f.Get(f.Context(), o)
			require.ErrorIs(f, err, errRefused)
			err = <-f.begin(passenger.RestartOptions{Method: method})
			require.ErrorAs(f, err, new(*spawner.SpawnError))
			require.NotErrorAs(f, err, new(*passenger.DeploymentError), "no old process serves on")
			require.Nil(f, f.group("a").DeploymentError)

			f.breaks(false)
			require.NoError(f, <-f.begin(passenger.RestartOptions{Method: method}))
			require.Len(f, f.pids("a"), 1, "it starts without a pause")
		})
	}
}

func TestBlockingRestartOfDisabledProcesses(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		f.started(options("a"), 2)
		require.NoError(f, f.Disable(f.Context(), "1000"))
		require.NoError(f, f.Disable(f.Context(), "1001"))
		require.NoError(f, <-f.begin(passenger.RestartOptions{Method: passenger.RestartBlocking}))

		for _, p := range f.group("a").Processes {
			require.EqualValues(f, 1, p.Generation)
		}
	})
}

func TestRestartWithTheOptionsOfAnotherApplicationRestartsNothing(t *testing.T) {
	changes := map[string]func(*spawner.App){
		"name":        func(a *spawner.App) { a.GroupName = "other" },
		"root":        func(a *spawner.App) { a.Root = "/apps/other" },
		"environment": func(a *spawner.App) { a.Environment = "staging" },
		"user":        func(a *spawner.App) { a.User = "other" },
		"group":       func(a *spawner.App) { a.Group = "other" },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
				f.get(options("a")).Close(passenger.KeepAlive)
				o := options("a")
				change(&o.App)
				check := func(err error) {
					require.ErrorContains(f, err, "cannot restart a with the options of another application")
					require.ErrorContains(f, err, `"a" in "/apps/a"`)
				}
				check(f.Restart(f.Context(), "a", passenger.RestartOptions{Options: o}))
				n, err := f.RestartAppRoot(f.Context(), "/apps/a", passenger.RestartOptions{Options: o})
				check(err)
				require.Zero(f, n)
				n, _, err = f.BeginRestart("a", passenger.RestartOptions{Options: o})
				check(err)
				require.Zero(f, n)

				require.Zero(f, f.group("a").Generation)
				require.Len(f, f.Inspect().Groups, 1)
				require.Empty(f, f.events.restartErrors())
			})
		})
	}
}

func TestRestartAppRootDoesNotMakeStagingProduction(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		production, staging := options("a"), options("a")
		staging.App.Environment = "staging"
		f.get(production).Close(passenger.KeepAlive)
		f.get(staging).Close(passenger.KeepAlive)
		_, err := f.RestartAppRoot(f.Context(), "/apps/a", passenger.RestartOptions{Options: production})
		require.ErrorContains(f, err, `environment "staging"`)

		for _, g := range f.Inspect().Groups {
			require.Zero(f, g.Generation, "none is restarted")
		}

		n, err := f.RestartAppRoot(f.Context(), "/apps/a", passenger.RestartOptions{})
		require.NoError(f, err)
		require.Equal(f, 2, n)
		s := f.get(staging)
		synctest.Wait() // until the old ones have ended

		for _, p := range f.factory.LiveProcesses() {
			require.Equal(f, p.Info().PID == s.PID(), p.App().Environment == "staging")
		}

		s.Close(passenger.KeepAlive)
	})
}

func TestFactoryThatFailsForOneOfABatch(t *testing.T) {
	for failing := 2; failing <= 5; failing++ {
		inAudit(t, 8, spawnertest.Script{SpawnDelay: time.Second}, nil, func(f *audit) {
			o := options("a")
			o.RestartBatchSize = passenger.Unlimited
			f.started(o, 4)
			f.spawners.refuse = func(n int, _ spawner.App) error {
				time.Sleep(time.Millisecond) // so that the batch meets here
				if n == failing {
					return errRefused
				}

				return nil
			}
			err := f.Restart(f.Context(), "a", passenger.RestartOptions{})
			if err != nil {
				require.ErrorIs(f, err, errRefused)
				require.ErrorAs(f, err, new(*passenger.DeploymentError))
			}

			time.Sleep(time.Minute)
			synctest.Wait()
			require.Len(f, f.pids("a"), 4, "they serve, the old or the new")
			f.spawners.refuse = nil
			require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
			synctest.Wait()
			require.Equal(f, 1, f.spawners.open("a"), "one spawner a release, and those of earlier ones are closed")
		})
	}
}

func TestBatchSharesOneSpawner(t *testing.T) {
	inAudit(t, 8, spawnertest.Script{SpawnDelay: time.Second}, nil, func(f *audit) {
		o := options("a")
		o.RestartBatchSize = passenger.Unlimited
		f.started(o, 4)
		calls := 0
		f.spawners.refuse = func(n int, _ spawner.App) error {
			calls = n
			time.Sleep(time.Second)
			return nil
		}
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		require.Equal(f, 2, calls)
	})
}

func TestFailingFactoryOfAFirstGetLeavesNothing(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		f.spawners.refuse = func(int, spawner.App) error { return errRefused }
		ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
		defer cancel()
		_, err := f.Get(ctx, options("a"))
		require.ErrorIs(f, err, errRefused)
		require.NoError(f, f.DetachApp(ctx, "a"))
		f.requireGone()
	})
}

func TestRestartWaitsForTheCheckBeforeAProcessGivesWay(t *testing.T) {
	script := spawnertest.Script{OnCheck: func(context.Context, spawner.App) error {
		time.Sleep(time.Second)
		return nil
	}}
	inBubble(t, 1, script, func(f *fixture) {
		f.get(options("other")).Close(passenger.KeepAlive)
		waiting := f.ask(options("a"))
		synctest.Wait()
		require.NoError(f, <-f.begin(passenger.RestartOptions{}))
		synctest.Wait()
		require.NoError(f, waiting.err)
		require.Equal(f, 1, waiting.times)
		require.Empty(f, f.pids("other"))
	})
}
