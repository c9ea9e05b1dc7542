package passenger_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// fixture is a pool of scripted processes that checks itself after each step
// and is closed, with nothing left, at the end of the test.
type fixture struct {
	*testing.T
	*passenger.Pool
	factory *spawnertest.Factory
	worked  chan int
}

// workOutOfBand takes a second.
func (f *fixture) workOutOfBand(ctx context.Context, s *passenger.Session) error {
	if _, err := s.Connect(ctx); err != nil {
		return err
	}

	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}

	select {
	case f.worked <- s.PID():
	default:
	}

	return ctx.Err()
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, maxPoolSize int, script spawnertest.Script, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, factory: spawnertest.New(script), worked: make(chan int, 10)}
		pool, err := passenger.New(passenger.Config{
			MaxPoolSize:   maxPoolSize,
			Spawner:       f.factory,
			SelfChecks:    true,
			OutOfBandWork: f.workOutOfBand,
		})
		require.NoError(t, err)
		f.Pool = pool
		defer func() {
			require.NoError(t, pool.Close())
			require.Empty(t, f.factory.LiveProcesses())
		}()
		test(f)
	})
}

func options(name string) *passenger.Options {
	return &passenger.Options{App: spawner.App{Root: "/apps/" + name, GroupName: name}}
}

func (f *fixture) get(o *passenger.Options) *passenger.Session {
	f.Helper()
	s, err := f.Get(f.Context(), o)
	require.NoError(f, err)

	return s
}

// ask is a get whose result comes later.
func (f *fixture) ask(o *passenger.Options) *asyncGet {
	a := &asyncGet{}
	a.stop = f.AsyncGet(o, func(s *passenger.Session, err error) {
		a.session, a.err = s, err
		a.times++
	})

	return a
}

type asyncGet struct {
	session *passenger.Session
	err     error
	times   int
	stop    func() bool
}

func (f *fixture) group(name string) passenger.GroupSnapshot {
	f.Helper()

	for _, g := range f.Inspect().Groups {
		if g.Name == name {
			return g
		}
	}

	require.Fail(f, "no such group", name)

	return passenger.GroupSnapshot{}
}

func TestGetStartsAProcess(t *testing.T) {
	inBubble(t, 2, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		began := time.Now()
		s := f.get(options("a"))
		require.Equal(f, time.Second, time.Since(began))
		require.Equal(f, 1000, s.PID())
		require.Equal(f, "a", s.AppName())
		require.Equal(f, 1, f.group("a").Processes[0].Sessions)
		s.Close(passenger.Discard)
		s.Close(passenger.Discard)
		p := f.group("a").Processes[0]
		require.Equal(f, 0, p.Sessions)
		require.EqualValues(f, 1, p.Processed)
		require.Equal(f, began.Add(time.Second), p.LastUsed)

		again := f.get(options("a"))
		require.Equal(f, 1000, again.PID())
		again.Close(passenger.KeepAlive)
		require.Equal(f, 1, f.factory.Spawns())
	})
}

func TestCallbackMayUseThePool(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		order := []string{}
		f.AsyncGet(options("a"), func(s *passenger.Session, err error) {
			require.NoError(f, err)
			inner := f.ask(options("a"))
			require.Zero(f, inner.times)
			s.Close(passenger.KeepAlive)
			require.Equal(f, 1, inner.times)
			inner.session.Close(passenger.KeepAlive)
			order = append(order, "outer")
		})
		synctest.Wait()
		require.Equal(f, []string{"outer"}, order)

		a := f.ask(options("a"))
		require.Equal(f, 1, a.times, "an idle process serves at once")
		require.False(f, a.stop())
		a.session.Close(passenger.KeepAlive)
	})
}

func TestInvalidOptions(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		_, err := f.Get(f.Context(), &passenger.Options{MinProcesses: 3, MaxProcesses: 2})
		require.ErrorContains(f, err, "app root is missing")
		require.ErrorContains(f, err, "MinProcesses: 3 is above MaxProcesses, 2")
		require.Empty(f, f.Inspect().Groups)
	})
	_, err := passenger.New(passenger.Config{MaxPoolSize: -1})
	require.ErrorContains(t, err, "-1 is negative")
}

func TestRoutingPrefersTheLeastBusyThenTheOldest(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{Concurrency: 2}, func(f *fixture) {
		o := options("a")
		o.MinProcesses = 3
		first := f.get(o)
		synctest.Wait()
		require.Len(f, f.group("a").Processes, 3)
		pids := make([]int, 6)

		pids[0] = first.PID()
		for i := range pids[1:] {
			pids[1+i] = f.get(o).PID()
		}

		require.Equal(f, []int{1000, 1001, 1002, 1000, 1001, 1002}, pids)
	})
}

func TestUnlimitedConcurrencyNeedsOneProcess(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{Concurrency: spawnertest.Unlimited}, func(f *fixture) {
		for range 1000 {
			require.Equal(f, 1000, f.get(options("a")).PID())
		}

		require.Equal(f, 1, f.factory.Spawns())
	})
}

func TestForcedConcurrency(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{Concurrency: spawnertest.Unlimited}, func(f *fixture) {
		o := options("a")
		o.ForceMaxConcurrentRequestsPerProcess = 2
		f.get(o)
		f.get(o)
		require.Zero(f, f.ask(o).times)
	})
	inBubble(t, 1, spawnertest.Script{Concurrency: 1}, func(f *fixture) {
		o := options("a")
		o.ForceMaxConcurrentRequestsPerProcess = passenger.Unlimited
		f.get(o)
		require.Equal(f, 1000, f.get(o).PID())
	})
}

func TestSeveralSocketsShareTheLoad(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{Concurrency: 2, Sockets: 3}, func(f *fixture) {
		for range 6 {
			f.get(options("a"))
		}

		require.Equal(f, 6, f.group("a").Processes[0].Concurrency)
		require.Zero(f, f.ask(options("a")).times)
	})
}

func TestSpawnsUntilEachHasAProcess(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{SpawnDelay: time.Second}, func(f *fixture) {
		gets := make([]*asyncGet, 5)
		for i := range gets {
			gets[i] = f.ask(options("a"))
		}

		for spawned := range 3 {
			require.Equal(f, 1, f.group("a").Spawning)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(f, 1, gets[spawned].times)
			require.Equal(f, 5-spawned-1, f.group("a").QueueLength)
		}

		require.Zero(f, f.group("a").Spawning, "the pool is full")
		gets[1].session.Close(passenger.KeepAlive)
		require.Equal(f, 1001, gets[3].session.PID(), "first come, first served")
		require.Zero(f, gets[4].times)
	})
}

func TestMaxProcessesBoundsOneApp(t *testing.T) {
	inBubble(t, 5, spawnertest.Script{}, func(f *fixture) {
		o := options("a")

		o.MaxProcesses = 2
		for range 4 {
			f.ask(o)
		}

		synctest.Wait()
		require.Len(f, f.group("a").Processes, 2)
		require.Equal(f, 2, f.group("a").QueueLength)
		more := *o
		more.MaxProcesses = 3
		f.ask(&more)
		synctest.Wait()
		require.Len(f, f.group("a").Processes, 3, "the latest value counts")
	})
}

func TestQueueLimit(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		o := options("a")
		o.MaxRequestQueueSize = 2
		held := f.get(o)
		first, second, third := f.ask(o), f.ask(o), f.ask(o)
		var full *passenger.QueueFullError
		require.ErrorAs(f, third.err, &full)
		require.Equal(f, 2, full.Limit)
		require.EqualError(f, full, "Request queue full (configured max. size: 2) for a")

		require.True(f, first.stop())
		require.False(f, first.stop())
		fourth := f.ask(o)
		require.NoError(f, fourth.err, "a withdrawn get makes room")
		unlimited := *o
		unlimited.MaxRequestQueueSize = passenger.Unlimited
		fifth := f.ask(&unlimited)
		require.NoError(f, fifth.err)
		held.Close(passenger.KeepAlive)
		require.Zero(f, first.times)
		require.Equal(f, 1, second.times)
		require.False(f, second.stop())
	})
}

func TestGetLeavesTheQueueWithItsContext(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{SpawnDelay: time.Minute}, func(f *fixture) {
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		_, err := f.Get(ctx, options("a"))
		require.ErrorIs(f, err, context.DeadlineExceeded)
		require.Zero(f, f.group("a").QueueLength)
		_, err = f.Get(ctx, options("a"))
		require.ErrorIs(f, err, context.DeadlineExceeded)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(f, f.group("a").Processes, 1, "the spawn is not wasted (A24)")
	})
}

func TestSameNameAnotherApp(t *testing.T) {
	inBubble(t, 6, spawnertest.Script{}, func(f *fixture) {
		mine, theirs := options("shop"), options("shop")
		theirs.App.Root = "/home/mallory/app"
		staging := options("shop")
		staging.App.Environment = "staging"

		pids := map[int]bool{}
		for _, o := range []*passenger.Options{mine, theirs, staging, options("shop")} {
			s := f.get(o)
			pids[s.PID()] = true
			s.Close(passenger.KeepAlive)
		}

		require.Len(f, pids, 3)
		require.Len(f, f.Inspect().Groups, 3)
	})
}

func TestConnectReusesAndReplaces(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		require.False(f, s.Reused())
		s.Close(passenger.KeepAlive)

		s = f.get(options("a"))
		again, err := s.Connect(f.Context())
		require.NoError(f, err)
		require.Same(f, c, again)
		require.True(f, s.Reused())
		fresh, err := s.Connect(f.Context())
		require.NoError(f, err)
		require.NotSame(f, c, fresh)
		require.False(f, s.Reused())
		_, err = c.Write([]byte("x"))
		require.ErrorIs(f, err, io.ErrClosedPipe, "replaced means closed")
		s.Close(passenger.Discard)
		_, err = fresh.Write([]byte("x"))
		require.ErrorIs(f, err, io.ErrClosedPipe)
		_, err = s.Connect(f.Context())
		require.ErrorIs(f, err, passenger.ErrSessionClosed)

		s = f.get(options("a"))
		_, err = s.Connect(f.Context())
		require.NoError(f, err)
		require.False(f, s.Reused())
		s.Close(passenger.Discard)
		require.Equal(f, 0, f.factory.Process(0).Connections())
	})
}

func TestUnusedConnectionGoesBack(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		s.Close(passenger.KeepAlive)
		f.get(options("a")).Close(passenger.KeepAlive)
		s = f.get(options("a"))
		again, err := s.Connect(f.Context())
		require.NoError(f, err)
		require.Same(f, c, again)
		s.Close(passenger.KeepAlive)
	})
}

var errRefused = errors.New("refused")

func TestConnectFailureDetaches(t *testing.T) {
	script := spawnertest.Script{BeforeDial: func(_ context.Context, p *spawnertest.Process) error {
		if p.Info().PID == 1000 {
			return errRefused
		}

		return nil
	}}
	inBubble(t, 1, script, func(f *fixture) {
		s := f.get(options("a"))
		_, err := s.Connect(f.Context())
		var failed *passenger.ConnectError
		require.ErrorAs(f, err, &failed)
		require.ErrorIs(f, err, errRefused)
		require.Equal(f, 1000, failed.PID)
		other := f.get(options("a"))
		require.Equal(f, 1001, other.PID(), "the process that does not respond is out of the pool")
		_, err = other.Connect(f.Context())
		require.NoError(f, err)
		require.Equal(f, 2, f.factory.Live(), "it stays until its session is closed")
		s.Close(passenger.Discard)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live())
	})
}

func TestConnectThatIsGivenUpDoesNotDetach(t *testing.T) {
	script := spawnertest.Script{BeforeDial: func(ctx context.Context, _ *spawnertest.Process) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	inBubble(t, 1, script, func(f *fixture) {
		s := f.get(options("a"))
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		_, err := s.Connect(ctx)
		require.ErrorIs(f, err, context.DeadlineExceeded)
		s.Close(passenger.Discard)
		require.Equal(f, "enabled", f.group("a").Processes[0].State)
	})
}
