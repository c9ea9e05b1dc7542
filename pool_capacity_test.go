package passenger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func (f *fixture) pids(name string) (pids []int) {
	f.Helper()

	for _, p := range f.group(name).Processes {
		if p.State == "enabled" {
			pids = append(pids, p.PID)
		}
	}

	return pids
}

func TestLongestIdleProcessGivesWay(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		for _, name := range []string{"a", "b", "c"} {
			f.get(options(name)).Close(passenger.KeepAlive)
			time.Sleep(time.Second)
		}

		f.get(options("a")).Close(passenger.KeepAlive)
		require.Equal(f, 1003, f.get(options("d")).PID())
		require.Empty(f, f.pids("b"), "b was idle for longest")
		require.Equal(f, []int{1000}, f.pids("a"))
		require.Equal(f, 3, f.Inspect().CapacityUsed)
	})
}

func TestProcessesAboveTheMinimumGiveWayFirst(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		kept := options("kept")
		kept.MinProcesses = 1
		f.get(kept).Close(passenger.KeepAlive)
		time.Sleep(time.Second)
		f.get(options("spare")).Close(passenger.KeepAlive)
		busy := f.get(options("busy"))
		f.get(options("new"))
		require.Empty(f, f.pids("spare"))
		require.Equal(f, []int{1000}, f.pids("kept"))

		f.get(options("other"))
		require.Empty(f, f.pids("kept"), "better below its minimum than a request that waits for ever")
		require.Equal(f, []int{busy.PID()}, f.pids("busy"), "busy processes are left alone")
	})
}

func TestBrokenApplicationTakesRoomFromOthersOnlyNowAndThen(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(f *fixture, broken *passenger.Options)
		tried     bool
	}{
		"at once":        {func(*fixture, *passenger.Options) {}, false},
		"5 s later":      {func(*fixture, *passenger.Options) { time.Sleep(5 * time.Second) }, true},
		"with a restart": {restarted, true},
		"corrected":      {func(_ *fixture, broken *passenger.Options) { broken.App.StartCommand = []string{"another"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
				f.factory.Change(func(s *spawnertest.Script) {
					s.BeforeSpawn = func(_ context.Context, _ int, app spawner.App) error {
						if app.Name() == "broken" {
							return errRefused
						}

						return nil
					}
				})

				sound, broken := options("sound"), options("broken")
				require.ErrorIs(f, f.getError(broken), errRefused)
				f.get(sound).Close(passenger.KeepAlive)
				spawns := f.factory.Spawns()

				c.meanwhile(f, broken)
				require.ErrorIs(f, f.getError(broken), errRefused)

				if c.tried {
					require.Empty(f, f.pids("sound"))
					require.Equal(f, spawns+1, f.factory.Spawns())
				} else {
					require.Len(f, f.pids("sound"), 1)
					require.Equal(f, spawns, f.factory.Spawns())
				}
			})
		})
	}
}

func TestApplicationThatCannotStartCostsOthersNoProcess(t *testing.T) {
	script := spawnertest.Script{OnCheck: func(_ context.Context, app spawner.App) error {
		if strings.HasPrefix(app.Name(), "absent") {
			return errRefused
		}

		return nil
	}}
	inAudit(t, 1, script, nil, func(f *audit) {
		f.get(options("sound")).Close(passenger.KeepAlive)

		for i := range 5 {
			name := fmt.Sprint("absent-", i)
			require.ErrorIs(f, f.getError(options(name)), errRefused)
			require.Equal(f, []int{1000}, f.pids("sound"))
			require.Equal(f, 1, f.factory.Spawns())
			require.EqualValues(f, 1, f.group(name).Counts.SpawnFailures)
			require.ErrorIs(f, f.refused(name), errRefused, "the failure is kept")
		}

		f.get(options("other"))
		require.Empty(f, f.pids("sound"))
	})
}

func TestCheckIsNotWaitedForWhereThereIsRoom(t *testing.T) {
	for name, end := range map[string]func(f *audit, checked chan error){
		"it fails late":    func(_ *audit, checked chan error) { checked <- errRefused },
		"it succeeds late": func(_ *audit, checked chan error) { checked <- nil },
		"the pool closes":  func(f *audit, _ chan error) { require.NoError(f, f.Close()) },
		"the release is old": func(f *audit, _ chan error) {
			require.NoError(f, f.Restart(f.Context(), "b", passenger.RestartOptions{}))
		},
		"the application is detached": func(f *audit, _ chan error) {
			require.NoError(f, f.DetachApp(f.Context(), "b"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inAudit(t, 1, spawnertest.Script{}, nil, func(f *audit) {
				checked := make(chan error)
				f.factory.Change(func(s *spawnertest.Script) {
					s.OnCheck = func(ctx context.Context, _ spawner.App) error {
						select {
						case err := <-checked:
							return err
						case <-ctx.Done():
							return ctx.Err()
						}
					}
				})

				f.get(options("a")).Close(passenger.KeepAlive)
				waiting := f.ask(options("b"))
				synctest.Wait()
				require.Zero(f, waiting.times)
				require.Equal(f, []int{1000}, f.pids("a"))

				require.NoError(f, f.SetMaxPoolSize(2))
				synctest.Wait()
				require.NoError(f, waiting.err)
				require.Equal(f, 1, waiting.times)
				waiting.session.Close(passenger.KeepAlive)
				end(f, checked)
				synctest.Wait()
			})
		})
	}
}

func TestApplicationThatCrashesAtItsFirstRequestTakesRoomOnlyNowAndThen(t *testing.T) {
	for name, c := range map[string]struct {
		status   string
		requests int
		waits    time.Duration
		refused  bool
	}{
		"by a signal":           {"signal: segmentation fault", 0, 0, true},
		"by its status":         {"exit status 1", 0, 4 * time.Second, true},
		"as it should":          {"exit status 0", 0, 0, false},
		"5 s ago":               {"exit status 1", 0, 5 * time.Second, false},
		"after a few requests":  {"exit status 1", 2, 0, false},
		"after the first of it": {"exit status 1", 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
				crashing, sound := options("crashing"), options("sound")
				for range c.requests {
					f.get(crashing).Close(passenger.KeepAlive)
				}

				s := f.get(crashing)
				require.True(f, f.factory.Processes()[0].Die(c.status))
				synctest.Wait()
				s.Close(passenger.Discard)
				f.get(sound).Close(passenger.KeepAlive)
				time.Sleep(c.waits)

				err := f.getError(crashing)
				if !c.refused {
					require.NoError(f, err)
					return
				}

				require.ErrorIs(f, err, passenger.ErrCrashed)
				require.ErrorContains(f, err, "process 1000 of crashing: "+c.status)
				require.Equal(f, []int{1001}, f.pids("sound"))

				require.NoError(f, f.SetMaxPoolSize(2))
				f.get(crashing).Close(passenger.KeepAlive)
			})
		})
	}
}

func TestStartTakesRoomFromOthersAfterAFailure(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		f.breaks(true)
		require.ErrorIs(f, f.getError(options("a")), errRefused)
		f.breaks(false)
		f.get(options("b")).Close(passenger.KeepAlive)
		require.NoError(f, f.StartN(f.Context(), options("a"), 1))
		require.Empty(f, f.pids("b"))
	})
}

func restarted(f *fixture, o *passenger.Options) {
	f.Helper()
	require.NoError(f, f.Restart(f.Context(), o.App.Name(), passenger.RestartOptions{}), "there is nothing to start")
}

func (f *fixture) getError(o *passenger.Options) error {
	_, err := f.Get(f.Context(), o)
	return err
}

func TestStarvingGroupsAreServedInOrder(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		b, c, b2 := f.ask(options("b")), f.ask(options("c")), f.ask(options("b"))
		synctest.Wait()
		require.Equal(f, []string{"b", "b", "c"}, f.Inspect().WaitingForCapacity)
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 1, b.times)
		require.Zero(f, c.times)
		b.session.Close(passenger.KeepAlive)
		require.Equal(f, 1, b2.times, "the process there is serves its own group first")
		b2.session.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 1, c.times)
		require.Equal(f, 1, f.Inspect().CapacityUsed)
	})
}

func TestHungryGroupGrowsWhenCapacityIsFreed(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		held := f.get(options("a"))
		other := f.get(options("b"))
		waiting := f.ask(options("a"))
		synctest.Wait()
		require.Zero(f, waiting.times, "a group that has a process takes no other's")
		require.True(f, f.factory.Kill(other.PID()))
		synctest.Wait()
		require.Equal(f, 1, waiting.times)
		require.NotEqual(f, held.PID(), waiting.session.PID())
		other.Close(passenger.Discard)
	})
}

func TestWithdrawnStarvingGetKillsNoProcess(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		b := f.ask(options("b"))
		require.True(f, b.stop())
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, []int{1000}, f.pids("a"))
		require.Equal(f, 1, f.factory.Spawns())
	})
}

func TestMinimaBeyondThePoolDoNotFight(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		a, b := options("a"), options("b")
		a.MinProcesses, b.MinProcesses = 1, 1
		f.get(a).Close(passenger.KeepAlive)
		f.get(b).Close(passenger.KeepAlive)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(f, 2, f.factory.Spawns(), "no process is stopped for a mere minimum")
		require.Equal(f, 1, f.factory.Live())
	})
}
