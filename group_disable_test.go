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

// refusals are the ways in which a Disable of the process 1000 fails, and what is wrapped then.
var refusals = map[string]struct {
	refuse func(f *audit, o *passenger.Options) error
	// heal lets another process start.
	heal  func(f *audit, o *passenger.Options)
	check func(t require.TestingT, err error)
}{
	"the pool is full": {
		refuse: func(f *audit, _ *passenger.Options) error {
			require.NoError(f, f.SetMaxPoolSize(1))
			return f.Disable(f.Context(), "1000")
		},
		heal: func(f *audit, _ *passenger.Options) { require.NoError(f, f.SetMaxPoolSize(3)) },
		check: func(t require.TestingT, err error) {
			require.ErrorIs(t, err, passenger.ErrPoolFull)
			require.ErrorContains(t, err, "it has reached its maximum, 1")
		},
	},
	"the application may have no more": {
		refuse: func(f *audit, o *passenger.Options) error {
			o.MaxProcesses = 1
			f.get(o).Close(passenger.KeepAlive)
			return f.Disable(f.Context(), "1000")
		},
		heal: func(f *audit, o *passenger.Options) {
			o.MaxProcesses = 0
			f.get(o).Close(passenger.KeepAlive)
		},
		check: func(t require.TestingT, err error) {
			require.ErrorContains(t, err, "the application has reached its maximum of processes, 1")
		},
	},
	"the other one does not start": {
		refuse: func(f *audit, _ *passenger.Options) error {
			f.breaks(true)
			return f.Disable(f.Context(), "1000")
		},
		heal: func(f *audit, _ *passenger.Options) { f.breaks(false) },
		check: func(t require.TestingT, err error) {
			require.ErrorAs(t, err, new(*spawner.SpawnError))
			require.ErrorIs(t, err, errRefused)
		},
	},
	"a deployment error is resisted": {
		refuse: func(f *audit, _ *passenger.Options) error {
			f.breaks(true)
			require.Error(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartRolling}))
			return f.Disable(f.Context(), "1000")
		},
		check: requireResisted,
	},
	"a restart fails meanwhile": {
		refuse: func(f *audit, _ *passenger.Options) error {
			f.factory.Change(func(s *spawnertest.Script) {
				s.BeforeSpawn = func(context.Context, int, spawner.App) error {
					time.Sleep(time.Second)
					return errRefused
				}
			})
			f.begin(passenger.RestartOptions{Method: passenger.RestartRolling})

			return f.Disable(f.Context(), "1000")
		},
		check: requireResisted,
	},
}

func TestDisableThatFailsSaysWhyAndLeavesNoMark(t *testing.T) {
	for name, refusal := range refusals {
		t.Run(name, func(t *testing.T) {
			inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
				o := options("a")
				f.get(o).Close(passenger.KeepAlive)
				err := refusal.refuse(f, o)
				require.ErrorIs(f, err, passenger.ErrCannotDisable)
				refusal.check(f, err)
				require.Equal(f, []int{1000}, f.pids("a"), "it serves on")
				if refusal.heal == nil {
					return
				}

				// It does its out-of-band work as ever, and comes back.
				refusal.heal(f, o)
				time.Sleep(time.Minute)
				s := f.get(o)
				require.Equal(f, 1000, s.PID())
				s.RequestOOBW()
				s.Close(passenger.KeepAlive)
				time.Sleep(time.Minute)
				synctest.Wait()
				require.Equal(f, 1000, <-f.worked)
				require.Contains(f, f.pids("a"), 1000)

				require.NoError(f, f.Disable(f.Context(), "1000"))
				require.NotContains(f, f.pids("a"), 1000)
			})
		})
	}
}

func TestDisableInAPoolThatShutsDown(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		s := f.get(options("a"))
		done := make(chan error, 1)
		go func() { done <- f.Shutdown(f.Context()) }()
		synctest.Wait()
		require.ErrorIs(f, f.Disable(f.Context(), "1000"), passenger.ErrClosed)
		s.Close(passenger.KeepAlive)
		require.NoError(f, <-done)
	})
}

func TestProcessThatCouldNotBeDisabledDoesNotTakeOthersTurn(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		f.get(o).Close(passenger.KeepAlive)
		require.NoError(f, f.SetMaxPoolSize(1))
		require.ErrorIs(f, f.Disable(f.Context(), "1000"), passenger.ErrCannotDisable)
		require.NoError(f, f.SetMaxPoolSize(3))
		f.started(o, 3)

		open := []*passenger.Session{f.get(o), f.get(o), f.get(o)}
		for _, s := range open {
			s.RequestOOBW()
		}

		for _, i := range []int{2, 0, 1} {
			open[i].Close(passenger.KeepAlive)
		}

		time.Sleep(time.Minute)
		synctest.Wait()
		require.ElementsMatch(f, []int{1000, 1001, 1002}, []int{<-f.worked, <-f.worked, <-f.worked})
		require.Len(f, f.pids("a"), 3)
	})
}

func TestOutOfBandWorkThatWasAskedForWhileDisabledComesWhenEnabled(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		f.started(o, 2)
		s := f.get(o)
		disabled := make(chan error, 1)
		go func() { disabled <- f.Disable(f.Context(), "1000") }()
		synctest.Wait()
		s.RequestOOBW()
		s.Close(passenger.KeepAlive)
		require.NoError(f, <-disabled)
		time.Sleep(time.Minute)
		require.Empty(f, f.worked)

		require.NoError(f, f.Enable("1000"))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(f, 1000, <-f.worked)
		require.Len(f, f.pids("a"), 2)
	})
}

// MaxOutOfBandWorkInstances changes with the options of a restart; processes that work
// already are left alone.
func TestOutOfBandWorkWithAChangingNumberOfInstances(t *testing.T) {
	inAudit(t, 8, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		o.DrainTimeout = passenger.Unlimited
		f.started(o, 4)
		work := func() {
			open := []*passenger.Session{f.get(o), f.get(o), f.get(o), f.get(o)}
			for _, s := range open {
				s.RequestOOBW()
			}

			for _, s := range open {
				s.Close(passenger.KeepAlive)
			}

			synctest.Wait()
		}
		restart := func(instances int) {
			changed := *o
			changed.MaxOutOfBandWorkInstances = instances
			result := f.begin(passenger.RestartOptions{Method: passenger.RestartRolling, Options: &changed})
			synctest.Wait()
			*o = changed
			require.NoError(f, <-result)
		}

		restart(3)
		work()
		require.Len(f, f.pids("a"), 1, "three work")
		restart(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(f, f.pids("a"), 4)
		work()
		require.Len(f, f.pids("a"), 3, "one works")
		restart(2)
		time.Sleep(time.Minute)
		synctest.Wait()
		work()
		require.Len(f, f.pids("a"), 2, "two work")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(f, f.pids("a"), 4)
	})
}
