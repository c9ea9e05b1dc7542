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

// detach begins to detach the application "a" and returns where the result will be.
func (f *audit) detach(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f.DetachApp(ctx, "a") }()
	synctest.Wait()

	return result
}

// requireGone: nothing is left of the application "a", at once.
func (f *audit) requireGone() {
	f.Helper()
	require.Nil(f, f.Inspect().Group("a"), "Inspect agrees")

	for _, p := range f.factory.LiveProcesses() {
		app := p.App()
		require.NotEqual(f, "a", app.Name(), "a process lives")
	}

	require.Zero(f, f.spawners.open("a"), "a spawner is open")
}

func TestDetachAppCancelsASpawn(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{SpawnDelay: 90 * time.Second}, nil, func(f *audit) {
		waiting := f.ask(options("a"))
		synctest.Wait()
		began := time.Now()
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		require.Zero(f, time.Since(began))
		require.ErrorIs(f, waiting.err, passenger.ErrAppDetached)
		f.requireGone()

		time.Sleep(time.Hour)
		synctest.Wait()
		require.Zero(f, f.factory.Live(), "nothing comes later")
		require.Equal(f, 1, f.factory.Spawns())
	})
}

func TestDetachAppWaitsForASpawnThatDoesNotHeedItsContext(t *testing.T) {
	for range 200 {
		inAudit(t, 2, spawnertest.Script{StopDelay: time.Second}, nil, func(f *audit) {
			g := newGate(true)
			f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = g.beforeSpawn })
			waiting := f.ask(options("a"))
			synctest.Wait()
			result := f.detach(f.Context())
			require.ErrorIs(f, waiting.err, passenger.ErrAppDetached)
			require.Empty(f, result, "the spawn is in progress")
			require.True(f, f.group("a").Detached, "and is seen")

			close(g.open)
			require.NoError(f, <-result)
			f.requireGone()
		})
	}
}

// TestInspectAgreesWithDetachAppAtOnce: in real time, where goroutines race.
func TestInspectAgreesWithDetachAppAtOnce(t *testing.T) {
	factory := spawnertest.New(spawnertest.Script{BeforeSpawn: func(context.Context, int, spawner.App) error {
		time.Sleep(100 * time.Microsecond)
		return nil
	}})
	pool, err := passenger.New(passenger.Config{Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()

	for i := range 200 {
		o := options("a")
		o.MinProcesses = 2
		if i%2 == 0 {
			s, err := pool.Get(t.Context(), o)
			require.NoError(t, err)
			s.Close(passenger.KeepAlive)
		} else {
			pool.AsyncGet(o, func(s *passenger.Session, _ error) {
				if s != nil {
					s.Close(passenger.KeepAlive)
				}
			})
		}

		require.NoError(t, pool.DetachApp(t.Context(), "a"))
		require.Empty(t, pool.Inspect().Groups, "at time %d", i)
		require.Zero(t, pool.Inspect().CapacityUsed)
		require.Empty(t, factory.LiveProcesses(), "at time %d", i)
	}
}

func TestDetachAppWaitsForSpawnsOfEarlierReleases(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		g := newGate(true)
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = g.beforeSpawn })
		f.serve(options("a"))
		synctest.Wait()
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = nil })
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))

		result := f.detach(f.Context())
		require.Empty(f, result, "the spawn that the restart gave up is in progress")
		close(g.open)
		require.NoError(f, <-result)
		f.requireGone()
	})
}

func TestDetachAppWaitsForItsSpawner(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		f.spawners.closing = time.Minute
		f.get(options("a")).Close(passenger.KeepAlive)
		began := time.Now()
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		require.Equal(f, time.Minute, time.Since(began))
		f.requireGone()
	})
}

func TestDetachAppEndsWhenThePoolCloses(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		g := newGate(true)
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = g.beforeSpawn })
		f.serve(options("a"))
		synctest.Wait()
		result := f.detach(f.Context())
		closed := make(chan error, 1)
		go func() { closed <- f.Close() }()
		synctest.Wait()
		require.Empty(f, result)
		require.Empty(f, closed)
		close(g.open)
		require.NoError(f, <-result)
		require.NoError(f, <-closed)
		f.requireNothingLeft(f)
	})
}

func TestSecondDetachAppWaitsForWhatTheFirstGaveUp(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		busy := f.get(options("a"))
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		require.ErrorIs(f, f.DetachApp(ctx, "a"), context.DeadlineExceeded)

		second := f.detach(f.Context())
		require.Empty(f, second, "the process has a session")
		f.get(options("a")).Close(passenger.KeepAlive)
		third := f.detach(f.Context())
		require.Empty(f, third, "also where the application has been started again")
		busy.Close(passenger.KeepAlive)
		require.NoError(f, <-second)
		require.NoError(f, <-third)
		f.requireGone()
		require.ErrorIs(f, f.DetachApp(f.Context(), "a"), passenger.ErrNoSuchApp)
	})
}

func TestGetAfterDetachAppStartsAgainWhileTheOldEnds(t *testing.T) {
	inAudit(t, 3, spawnertest.Script{}, nil, func(f *audit) {
		busy := f.get(options("a"))
		result := f.detach(f.Context())
		later := f.get(options("a"))
		require.NotEqual(f, busy.PID(), later.PID())
		busy.Close(passenger.KeepAlive)
		require.NoError(f, <-result, "what was started later is not waited for")
		require.Equal(f, 1, f.factory.Live())
		later.Close(passenger.KeepAlive)
	})
}

func TestDetachAppEndsRestartsAndStarts(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{SpawnDelay: time.Minute}, nil, func(f *audit) {
		started := make(chan error, 1)
		go func() { started <- f.StartN(f.Context(), options("a"), 2) }()
		synctest.Wait()
		restarted := f.begin(passenger.RestartOptions{})
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		require.ErrorIs(f, <-started, passenger.ErrAppDetached)
		require.ErrorIs(f, <-restarted, passenger.ErrAppDetached)
		f.requireGone()
		require.Empty(f, f.events.faults(), "spawns and restarts have ended for the observer as well")
	})
}

func TestDetachAppDuringOutOfBandWork(t *testing.T) {
	inAudit(t, 2, spawnertest.Script{}, nil, func(f *audit) {
		o := options("a")
		f.started(o, 2)
		s := f.get(o)
		s.RequestOOBW()
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Len(f, f.pids("a"), 1)
		require.NoError(f, f.DetachApp(f.Context(), "a"))
		f.requireGone()
	})
}
