package passenger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// breaks makes all spawns from now on fail, or none.
func (f *fixture) breaks(broken bool) {
	f.factory.Change(func(s *spawnertest.Script) {
		s.BeforeSpawn = nil
		if broken {
			s.BeforeSpawn = alwaysFail
		}
	})
}

// outage lets an application that has no process fail to start for ten minutes.
func (f *fixture) outage(o *passenger.Options) {
	f.breaks(true)

	for range 10 {
		time.Sleep(time.Minute)
		_, err := f.Get(f.Context(), o)
		require.ErrorIs(f, err, errRefused)
	}

	f.breaks(false)
}

// untilSpawn returns how long it takes until the next spawn begins.
func (f *fixture) untilSpawn() time.Duration {
	began, spawns := time.Now(), f.factory.Spawns()
	for f.factory.Spawns() == spawns && time.Since(began) < time.Hour {
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}

	return time.Since(began)
}

func TestThoseWhoWaitGetProcessesOnceOneHasStartedAfterAnOutage(t *testing.T) {
	inBubble(t, 5, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.outage(o)
		f.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Second })

		waiting := []*asyncGet{f.ask(o), f.ask(o), f.ask(o), f.ask(o), f.ask(o)}
		for i, a := range waiting {
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(f, 1, a.times, "%d have their processes", i)
			require.NoError(f, a.err)
		}
	})
}

func TestMinimumIsThereOnceOneHasStartedAfterAnOutage(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.outage(o)
		o.MinProcesses = 4
		require.NoError(f, f.Start(f.Context(), o))
		require.Equal(f, 4, f.factory.Live())
	})
}

func TestRowOfFailuresEndsWithASuccess(t *testing.T) {
	for name, use := range map[string]func(f *fixture, o *passenger.Options){
		"after 100 hours":     func(*fixture, *passenger.Options) { time.Sleep(100 * time.Hour) },
		"after one request":   func(f *fixture, o *passenger.Options) { f.get(o).Close(passenger.KeepAlive) },
		"during its requests": func(f *fixture, o *passenger.Options) { f.get(o) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
				o := options("a")
				f.outage(o)
				o.MinProcesses = 1
				require.NoError(f, f.Start(f.Context(), o))
				use(f, o)

				// The process dies, and the one in its place does not start.
				f.breaks(true)
				spawns := f.factory.Spawns()
				require.True(f, f.factory.Kill(f.factory.LiveProcesses()[0].Info().PID))
				synctest.Wait()
				require.Equal(f, spawns+1, f.factory.Spawns(), "one that was of use is replaced at once")
				require.InDelta(f, time.Second, f.untilSpawn(), float64(200*time.Millisecond),
					"one failure costs a second")
			})
		})
	}
}

func TestFailureAfterHealthyHoursOfAnotherProcessCostsASecond(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.outage(o)
		o.MinProcesses = 2
		require.NoError(f, f.Start(f.Context(), o))
		time.Sleep(100 * time.Hour)

		f.breaks(true)
		more := *o
		more.MinProcesses = 3
		require.ErrorIs(f, f.Start(f.Context(), &more), errRefused)
		require.InDelta(f, time.Second, f.untilSpawn(), float64(200*time.Millisecond))
	})
}

func TestRowOfFailuresGoesOnWithAProcessThatDiesUnserved(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.outage(o)
		o.MinProcesses = 1
		require.NoError(f, f.Start(f.Context(), o))
		time.Sleep(time.Second)
		require.True(f, f.factory.Kill(f.factory.LiveProcesses()[0].Info().PID))
		synctest.Wait()
		require.Greater(f, f.untilSpawn(), 50*time.Second)
	})
}

func TestCrashLoopOfSeveralProcessesBacksOffToAMinute(t *testing.T) {
	for minimum := range 4 {
		inBubble(t, 4, spawnertest.Script{SpawnDelay: 100 * time.Millisecond}, func(f *fixture) {
			o := options("a")
			o.MinProcesses = minimum + 1
			require.NoError(f, f.StartN(f.Context(), o, 1))
			crash := func(span time.Duration) {
				for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(time.Second) {
					for _, p := range f.factory.LiveProcesses() {
						p.Die("exit status 1")
					}

					synctest.Wait()
				}
			}
			crash(30 * time.Minute)
			spawns := f.factory.Spawns()
			crash(time.Hour)
			attempts := f.factory.Spawns() - spawns
			require.LessOrEqual(f, attempts, 60*(minimum+1)+1, "each process once a minute, of %d", minimum+1)
			require.GreaterOrEqual(f, attempts, 50)
		})
	}
}
