package passenger_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// stateOfFirst is the state of the first process that was started.
func (f *fixture) stateOfFirst() passenger.ProcessState {
	f.Helper()

	for _, p := range f.group("a").Processes {
		if p.PID == 1000 {
			return p.State
		}
	}

	return "gone"
}

// disabling disables a process and returns where the result will be.
func (f *fixture) disabling(id string) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f.Disable(f.Context(), id) }()
	synctest.Wait()

	return result
}

func TestDisableAndEnable(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		gupid := f.group("a").Processes[0].GUPID
		require.NoError(f, f.Disable(f.Context(), gupid))
		require.NoError(f, f.Disable(f.Context(), "1000"), "it is already")
		require.Equal(f, "disabled", f.stateOfFirst())
		require.Equal(f, 1001, f.get(o).PID())
		waiting := f.ask(o)
		require.Zero(f, waiting.times)
		require.NoError(f, f.Enable(gupid))
		require.NoError(f, f.Enable(gupid))
		require.Equal(f, 1000, waiting.session.PID())

		for _, err := range []error{f.Disable(f.Context(), "7"), f.Enable("7"), f.DetachProcess("7")} {
			require.ErrorIs(f, err, passenger.ErrNoSuchProcess)
		}
	})
}

func TestDisableWaitsForRequests(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		s := f.get(o)
		result := f.disabling("1000")
		require.Equal(f, "disabling", f.stateOfFirst())
		require.Empty(f, result)
		s.Close(passenger.KeepAlive)
		require.NoError(f, <-result)

		require.NoError(f, f.Enable("1000"))
		s = f.get(o)
		require.Equal(f, 1000, s.PID(), "of equals the first attached")
	})
}

func TestDisableOfTheOnlyProcess(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		f.factory.Change(func(s *spawnertest.Script) { s.SpawnDelay = time.Second })
		began := time.Now()
		result := f.disabling("1000")
		s := f.get(o)
		require.Equal(f, 1000, s.PID(), "it serves until the other one is there")
		waiting := f.ask(o)
		s.Close(passenger.KeepAlive)
		require.Equal(f, 1000, waiting.session.PID(), "a slot that is freed serves the queue")
		waiting.session.Close(passenger.KeepAlive)
		require.NoError(f, <-result)
		require.Equal(f, time.Second, time.Since(began))
		require.Equal(f, []int{1001}, f.pids("a"))

		require.ErrorIs(f, f.Disable(f.Context(), "1001"), passenger.ErrCannotDisable, "the pool is full")
		require.Equal(f, []int{1001}, f.pids("a"))
	})
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		f.started(options("a"), 1)
		f.factory.Change(func(s *spawnertest.Script) { s.BeforeSpawn = alwaysFail })
		require.ErrorIs(f, f.Disable(f.Context(), "1000"), passenger.ErrCannotDisable)
		require.Equal(f, []int{1000}, f.pids("a"))
	})
}

func TestDisableThatDoesNotComeAbout(t *testing.T) {
	for want, change := range map[error]func(f *fixture){
		passenger.ErrEnabled:         func(f *fixture) { require.NoError(f, f.Enable("1000")) },
		passenger.ErrProcessDetached: func(f *fixture) { require.NoError(f, f.DetachProcess("1000")) },
	} {
		inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
			o := options("a")
			f.started(o, 2)
			s := f.get(o)
			result := f.disabling("1000")
			change(f)
			require.ErrorIs(f, <-result, want)
			s.Close(passenger.KeepAlive)
		})
	}

	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 2)
		s := f.get(o)
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		require.ErrorIs(f, f.Disable(ctx, "1000"), context.DeadlineExceeded)
		s.Close(passenger.KeepAlive)
		require.Equal(f, "disabled", f.stateOfFirst(), "later")
	})
}

func TestDetachProcess(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		s := f.get(o)
		require.NoError(f, f.DetachProcess("1000"))
		synctest.Wait()
		require.Equal(f, []int{1001}, f.pids("a"), "the minimum is kept")
		require.Equal(f, "detached", f.stateOfFirst())
		s.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, "gone", f.stateOfFirst())
	})
}

func TestDetachApp(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{StopDelay: time.Second}, func(f *fixture) {
		o := options("a")
		f.started(o, 1)
		s := f.get(o)
		waiting := f.ask(o)
		other := f.ask(options("b"))
		result := make(chan error, 1)
		go func() { result <- f.DetachApp(f.Context(), "a") }()
		synctest.Wait()
		require.ErrorIs(f, waiting.err, passenger.ErrAppDetached)
		require.NoError(f, other.err, "its room is free")
		require.Empty(f, result)
		s.Close(passenger.KeepAlive)
		began := time.Now()
		require.NoError(f, <-result)
		require.Equal(f, time.Second, time.Since(began))
		require.ErrorIs(f, f.DetachApp(f.Context(), "a"), passenger.ErrNoSuchApp)
		synctest.Wait()
		require.Len(f, f.Inspect().Groups, 1)
		other.session.Close(passenger.KeepAlive)

		require.Equal(f, 1002, f.get(o).PID(), "a later get starts it again")
	})
}

// Faults: G11.
func TestLowerPoolSizeDrainsBusyProcesses(t *testing.T) {
	inBubble(t, 4, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 4)
		busy := []*passenger.Session{f.get(o), f.get(o), f.get(o)}
		require.NoError(f, f.SetMaxPoolSize(1))
		synctest.Wait()
		require.Equal(f, 3, f.Inspect().CapacityUsed, "the idle one goes at once")

		for i, s := range busy {
			s.Close(passenger.KeepAlive)
			require.Equal(f, max(2-i, 1), f.Inspect().CapacityUsed)
		}

		f.get(o)
		waiting := f.ask(o)
		require.NoError(f, f.SetMaxPoolSize(2))
		synctest.Wait()
		require.Equal(f, 1, waiting.times, "more room is used")
	})
}

func TestIdleProcessesAreStopped(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		o := options("a")

		sessions := make([]*passenger.Session, 4)
		for i := range sessions {
			sessions[i] = f.get(o)
		}

		for _, s := range sessions {
			time.Sleep(time.Minute)
			s.Close(passenger.KeepAlive)
		}

		more := *o
		more.MinProcesses = 1
		f.get(&more).Close(passenger.KeepAlive)

		// 1000 has just been used, the others 2, 1 and 0 minutes ago.
		time.Sleep(3*time.Minute - time.Second)
		synctest.Wait()
		require.Len(f, f.pids("a"), 4)

		for _, left := range []int{3, 2, 1} {
			time.Sleep(time.Second)
			synctest.Wait()
			require.Len(f, f.pids("a"), left)
			time.Sleep(time.Minute - time.Second)
		}

		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(f, f.pids("a"), 1, "the minimum")
		f.SetPoolIdleTime(time.Second)
		none := *o
		f.get(&none).Close(passenger.KeepAlive)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Empty(f, f.pids("a"))
	})
}

func TestMaxRequests(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")

		o.MaxRequests = 3
		for i := range 9 {
			s := f.get(o)
			require.Equal(f, 1000+i/3, s.PID())
			s.Close(passenger.KeepAlive)
		}
	})
	inBubble(t, 10, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MaxRequests, o.MaxRequestsJitter = 1000, 0.5

		counts := map[int]int{}
		for range 5000 {
			s := f.get(o)
			counts[s.PID()]++
			s.Close(passenger.KeepAlive)
		}

		different := map[int]bool{}
		for pid, n := range counts {
			require.LessOrEqual(f, n, 1000)
			if pid != 1000+len(counts)-1 {
				require.GreaterOrEqual(f, n, 500)
				different[n] = true
			}
		}

		require.Greater(f, len(different), 2)
	})
}

func TestMaxRequestQueueTime(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MaxRequestQueueTime = time.Second
		s := f.get(o)
		first := f.ask(o)
		time.Sleep(500 * time.Millisecond)
		second := f.ask(o)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.ErrorIs(f, first.err, passenger.ErrQueueTimeout)
		require.False(f, first.stop())
		s.Close(passenger.KeepAlive)
		require.NoError(f, second.err)
	})
}

func TestMaxRequestTime(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		o := options("a")
		o.MaxRequestTime = time.Minute
		f.get(o).Close(passenger.KeepAlive)
		time.Sleep(2 * time.Minute)
		s := f.get(o)
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		waiting := f.ask(o)
		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		require.Equal(f, time.Minute, time.Since(began))
		synctest.Wait()
		require.Equal(f, 1001, waiting.session.PID())
	})
}

func TestStickySessions(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		f.started(o, 3)
		first, second := f.get(o), f.get(o)
		require.NotEqual(f, first.StickyID(), second.StickyID())
		back := *o
		back.StickySessionID = second.StickyID()
		waiting := []*asyncGet{f.ask(&back), f.ask(&back)}
		require.Zero(f, waiting[0].times, "a busy one is waited for")
		require.Equal(f, 2, f.group("a").QueueLength)
		require.Equal(f, 1002, f.get(o).PID(), "others are not held up")
		second.Close(passenger.KeepAlive)
		require.Equal(f, second.PID(), waiting[0].session.PID())
		first.Close(passenger.KeepAlive)
		require.Zero(f, waiting[1].times)
		require.NoError(f, f.DetachProcess(fmt.Sprint(second.PID())))
		require.Equal(f, first.PID(), waiting[1].session.PID(), "one that is gone is replaced by any")
		waiting[1].session.Close(passenger.KeepAlive)

		require.Equal(f, first.PID(), f.get(&back).PID())
	})
}

func TestOutOfBandWork(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		s := f.get(o)
		s.RequestOOBW()
		s.RequestOOBW()
		time.Sleep(time.Minute)
		require.Empty(f, f.worked, "not while it has a request")
		other := f.get(o)
		other.RequestOOBW()
		s.Close(passenger.KeepAlive)
		other.Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, []int{1001}, f.pids("a"), "one at a time (B19), and one is always ready")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, 1000, <-f.worked)
		require.Equal(f, []int{1000}, f.pids("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(f, 1001, <-f.worked)
		require.Len(f, f.pids("a"), 2)
		time.Sleep(time.Minute)

		require.Empty(f, f.worked)
	})
}
