package passenger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// inBubbleWith is inBubble with a configuration of the test's own.
func inBubbleWith(t *testing.T, cfg passenger.Config, script spawnertest.Script, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, factory: spawnertest.New(script)}
		cfg.Spawner, cfg.SelfChecks = f.factory, true
		pool, err := passenger.New(cfg)
		require.NoError(t, err)
		f.Pool = pool
		defer func() { _ = pool.Close() }()
		test(f)
	})
}

// recorder is a hook that remembers.
type recorder struct {
	mu     sync.Mutex
	events []hooks.Event
}

func (r *recorder) Run(_ context.Context, e hooks.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)

	return nil
}

func (r *recorder) take() (events []hooks.Event) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	events, r.events = r.events, nil

	return events
}

func TestHooksAreTold(t *testing.T) {
	r := &recorder{}
	failure := &spawner.SpawnError{Summary: "broken", ID: "0badcafe", AppName: "a"}
	inBubbleWith(t, passenger.Config{
		MaxPoolSize: 1,
		Hooks:       []hooks.Hook{r},
	}, spawnertest.Script{Failures: map[int]error{2: failure}}, func(f *fixture) {
		event := func(name hooks.Name) hooks.Event {
			return hooks.Event{
				Name:      name,
				AppRoot:   "/apps/a",
				GroupName: "a",
			}
		}
		o := options("a")
		o.MaxRequestQueueSize = 1
		s := f.get(o)
		attached := event(hooks.AttachedProcess)
		attached.PID = 1000
		require.ElementsMatch(f, []hooks.Event{event(hooks.AfterInitializeSupergroup), attached}, r.take())

		waiting, refused := f.ask(o), f.ask(o)
		full := event(hooks.QueueFullError)
		refusal, ok := errors.AsType[*passenger.QueueFullError](refused.err)
		require.True(f, ok)
		require.Regexp(f, "^[0-9a-f]{8}$", refusal.ID)
		full.ErrorMessage, full.ErrorID = refusal.Error(), refusal.ID
		require.Equal(f, []hooks.Event{full}, r.take())

		require.NoError(f, f.DetachProcess("1000"))
		detached, failed := event(hooks.DetachedProcess), event(hooks.SpawnFailed)
		detached.PID = 1000
		failed.ErrorMessage, failed.ErrorID, failed.Err = "broken", "0badcafe", failure
		require.ElementsMatch(f, []hooks.Event{detached, failed}, r.take())
		require.ErrorIs(f, waiting.err, failure)
		s.Close(passenger.Discard)

		require.NoError(f, f.Shutdown(f.Context()))
		require.Equal(f, []hooks.Event{event(hooks.BeforeDestroySupergroup)}, r.take())
	})
}

func TestHookBeforeAProcessIsKilled(t *testing.T) {
	var seen hooks.Event
	hook := hooks.On(hooks.HookFunc(func(ctx context.Context, e hooks.Event) error {
		seen = e

		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}

		return context.Cause(ctx)
	}), hooks.MaxRequestTimeReached)
	inBubbleWith(t, passenger.Config{
		MaxPoolSize: 2,
		Hooks:       []hooks.Hook{hook},
	}, spawnertest.Script{StopDelay: time.Hour}, func(f *fixture) {
		o := options("a")
		o.MaxRequestTime = time.Minute
		s := f.get(o)
		s.Describe("example.com", "/slow?x")
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		require.Equal(f, time.Minute+5*time.Second, time.Since(began), "the hook looks at it first")
		require.Equal(f, hooks.Event{
			Name:        hooks.MaxRequestTimeReached,
			AppRoot:     "/apps/a",
			GroupName:   "a",
			PID:         1000,
			RequestHost: "example.com",
			RequestPath: "/slow?x",
		}, seen)
		s.Close(passenger.Discard)
		f.get(o).Close(passenger.Discard)
	})
}

func TestHangingHookHoldsNothingUp(t *testing.T) {
	hook := hooks.HookFunc(func(ctx context.Context, _ hooks.Event) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	inBubbleWith(t, passenger.Config{
		MaxPoolSize: 1,
		Hooks:       []hooks.Hook{hook},
	}, spawnertest.Script{}, func(f *fixture) {
		began := time.Now()

		for _, name := range []string{"a", "b", "c"} {
			f.get(options(name)).Close(passenger.KeepAlive)
		}

		require.Zero(f, time.Since(began))
		require.ErrorContains(f, f.Close(), "attached_process")
		require.Zero(f, time.Since(began))
	})
}

// sampler says what processes use.
type sampler struct {
	mu  sync.Mutex
	use map[int]int64
}

func (s *sampler) set(pid int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use[pid] = bytes
}

func (s *sampler) sample(roots []procstat.Root) (map[int]passenger.ProcessMetrics, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	m := map[int]passenger.ProcessMetrics{}
	for _, root := range roots {
		pid := root.PID
		m[pid] = passenger.ProcessMetrics{PID: pid}
		if n, ok := s.use[pid]; ok {
			m[pid] = passenger.ProcessMetrics{PID: pid, RSS: procstat.Known(n)}
		}
	}

	return m, nil
}

// Faults: B13.
func TestProcessOverItsMemoryLimitIsReplaced(t *testing.T) {
	inBubbleWith(t, passenger.Config{
		MaxPoolSize:     2,
		MetricsInterval: time.Second,
	}, spawnertest.Script{StopDelay: time.Minute}, func(f *fixture) {
		use := &sampler{use: map[int]int64{}}
		passenger.SetSampler(f.Pool, use.sample)
		o := options("a")
		o.MinProcesses, o.MemoryLimit, o.HardMemoryLimit = 1, 100, 1000
		s := f.get(o)
		time.Sleep(10 * time.Second)
		require.Equal(f, []int{1000}, f.pids("a"), "unknown is not too much")
		use.set(1000, 100)
		time.Sleep(2 * time.Second)
		require.Equal(f, procstat.Known[int64](100), f.group("a").Processes[0].Metrics.RSS)
		require.Equal(f, []int{1000}, f.pids("a"))
		use.set(1000, 101)
		time.Sleep(2 * time.Second)
		require.Equal(f, []int{1001}, f.pids("a"), "it is replaced")
		require.Equal(f, 2, f.factory.Live(), "and finishes its request")
		s.Close(passenger.KeepAlive)

		s = f.get(o)
		c, err := s.Connect(f.Context())
		require.NoError(f, err)
		use.set(1001, 1001)
		began := time.Now()
		_, err = c.Read(make([]byte, 1))
		require.Error(f, err)
		require.LessOrEqual(f, time.Since(began), time.Second, "far too much is killed")
		s.Close(passenger.Discard)
	})
}
