package hooks_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/logged"
)

// recorder is a Hook that keeps its events, and takes as long as hold does.
type recorder struct {
	hold func(ctx context.Context, e hooks.Event) error

	mu            sync.Mutex
	running, most int
	begun, ended  []hooks.Event
}

func (r *recorder) Run(ctx context.Context, e hooks.Event) (err error) {
	r.mu.Lock()
	r.begun = append(r.begun, e)
	r.running++
	r.most = max(r.most, r.running)
	r.mu.Unlock()
	if r.hold != nil {
		err = r.hold(ctx, e)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	r.ended = append(r.ended, e)

	return err
}

// told returns the events whose hook has returned.
func (r *recorder) told() []hooks.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// takes makes a hook take d.
func takes(d time.Duration) func(context.Context, hooks.Event) error {
	return func(ctx context.Context, _ hooks.Event) error {
		timer := time.NewTimer(d)
		defer timer.Stop()

		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func untilCancelled(ctx context.Context, _ hooks.Event) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func requireEvents(t *testing.T, r *hooks.Runner, name hooks.Name, running, waiting int) {
	t.Helper()

	isRunning, isWaiting := r.Events(name)
	require.Equal(t, running, isRunning)
	require.Equal(t, waiting, isWaiting)
}

func TestNoHooks(t *testing.T) {
	leakgate.Check(t)

	for name, r := range map[string]*hooks.Runner{"nil": nil, "zero": {}, "no hooks": newRunner(logr.Logger{})} {
		for _, n := range hooks.Names() {
			require.False(t, r.Has(n), name)
			r.Fire(hooks.Event{Name: n})
			require.NoError(t, r.Run(t.Context(), hooks.Event{Name: n}), name)
		}

		require.NoError(t, r.Close(ended()), name)
		require.NoError(t, r.Close(t.Context()), name)
	}
}

func TestRunnerRefusesHooksThatCannotBeTold(t *testing.T) {
	leakgate.Check(t)
	fine := hooks.HookFunc(func(context.Context, hooks.Event) error { return nil })
	r, err := hooks.NewRunner(logr.Discard(), fine, nil, hooks.HookFunc(nil),
		hooks.On(fine, "spawn_faild"), hooks.On(nil, hooks.SpawnFailed), hooks.On(fine))
	require.Nil(t, r)

	for _, part := range []string{
		"hook number 2: it is nil: leave it out",
		"hook number 3: its function is nil: leave it out",
		`hook number 4: there is no event "spawn_faild"; the events are [attached_process`,
		"hook number 5: it is nil",
		"hook number 6: On was given no event: name some of [attached_process",
	} {
		require.ErrorContains(t, err, part)
	}

	require.NotContains(t, err.Error(), "number 1")
}

func TestNothingStartsBeforeTheFirstEvent(t *testing.T) {
	leakgate.Check(t)
	before := runtime.NumGoroutine()
	r := newRunner(logr.Discard(), hooks.On(&recorder{}, hooks.SpawnFailed))
	require.True(t, r.Has(hooks.SpawnFailed))
	require.False(t, r.Has(hooks.AttachedProcess))
	r.Fire(hooks.Event{Name: hooks.AttachedProcess})
	require.Equal(t, before, runtime.NumGoroutine())
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Fire(hooks.Event{Name: hooks.AttachedProcess}) }))
}

func TestCloseTellsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: takes(time.Second)}
		r := newRunner(logr.Discard(), h)

		const events = 100
		for range events {
			r.Fire(hooks.Event{Name: hooks.SpawnFailed, GroupName: "one"})
		}

		require.NoError(t, r.Close(t.Context()))
		require.Len(t, h.told(), events)
		require.Equal(t, 1, h.most)

		r.Fire(hooks.Event{Name: hooks.SpawnFailed})
		require.ErrorIs(t, r.Run(t.Context(), hooks.Event{Name: hooks.SpawnFailed}), hooks.ErrClosed)
		require.NoError(t, r.Close(ended()))
		require.Len(t, h.told(), events)
		requireEvents(t, r, hooks.SpawnFailed, 0, 0)
	})
}

func TestCloseCutsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: untilCancelled}

		r := newRunner(logr.Discard(), h)
		for pid := range 10 {
			r.Fire(hooks.Event{Name: hooks.DetachedProcess, PID: pid})
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		err := r.Close(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "detached_process (4 running, 6 waiting)")
		require.Equal(t, time.Minute, time.Since(begin))
		require.Len(t, h.told(), 4)
		requireEvents(t, r, hooks.DetachedProcess, 0, 0)
	})
}

func TestCloseNamesWhatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRunner(logr.Discard(), hooks.HookFunc(func(context.Context, hooks.Event) error {
			<-release
			return nil
		}))
		r.Fire(hooks.Event{Name: hooks.SpawnFailed})
		require.ErrorContains(t, r.Close(ended()), "hooks do not stop: spawn_failed")
		close(release)
		require.NoError(t, r.Close(t.Context()))
	})
}

func TestOrderOfOneProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: func(ctx context.Context, e hooks.Event) error {
			if e.Name == hooks.AttachedProcess {
				return takes(time.Minute)(ctx, e)
			}

			return takes(time.Second)(ctx, e)
		}}
		r := newRunner(logr.Discard(), h)

		const processes = 20
		for pid := range processes {
			for range 2 {
				r.Fire(hooks.Event{Name: hooks.AttachedProcess, PID: pid})
				r.Fire(hooks.Event{Name: hooks.DetachedProcess, PID: pid})
			}
		}

		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, 4, h.most)

		order := map[int][]hooks.Name{}
		for _, e := range h.told() {
			order[e.PID] = append(order[e.PID], e.Name)
		}

		require.Len(t, order, processes)

		for pid, names := range order {
			require.Equal(t, []hooks.Name{
				hooks.AttachedProcess, hooks.DetachedProcess, hooks.AttachedProcess, hooks.DetachedProcess,
			}, names, pid)
		}
	})
}

func TestOrderOfOneGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: takes(time.Second)}

		r := newRunner(logr.Discard(), h)
		for range 3 {
			r.Fire(hooks.Event{Name: hooks.AfterInitializeSupergroup, GroupName: "a"})
			r.Fire(hooks.Event{Name: hooks.BeforeDestroySupergroup, GroupName: "a"})
		}

		require.NoError(t, r.Close(t.Context()))
		require.Equal(t, 1, h.most)

		for i, e := range h.told() {
			require.Equal(t, []hooks.Name{hooks.AfterInitializeSupergroup, hooks.BeforeDestroySupergroup}[i%2], e.Name)
		}
	})
}

// Faults: G1.
func TestHangingHookStopsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{hold: func(ctx context.Context, e hooks.Event) error {
			if e.Name == hooks.AttachedProcess && e.PID == 1 || e.Name == hooks.SpawnFailed {
				return untilCancelled(ctx, e)
			}

			return nil
		}}
		r := newRunner(logr.Discard(), h)
		r.Fire(hooks.Event{Name: hooks.AttachedProcess, PID: 1})
		r.Fire(hooks.Event{Name: hooks.SpawnFailed})
		r.Fire(hooks.Event{Name: hooks.DetachedProcess, PID: 1})
		r.Fire(hooks.Event{Name: hooks.AttachedProcess, PID: 2})
		r.Fire(hooks.Event{Name: hooks.QueueFullError})
		require.NoError(t, r.Run(t.Context(), hooks.Event{Name: hooks.MaxRequestTimeReached, PID: 1}))
		synctest.Wait()
		require.Len(t, h.told(), 3)

		<-time.After(time.Hour)
		requireEvents(t, r, hooks.AttachedProcess, 1, 0)
		requireEvents(t, r, hooks.DetachedProcess, 0, 1)

		var labels bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&labels, 1))
		require.Contains(t, labels.String(), `"hook":"attached_process"`)
		require.Contains(t, labels.String(), `"hook":"spawn_failed"`)
		require.Error(t, r.Close(ended()))
	})
}

func TestRun(t *testing.T) {
	event := hooks.Event{Name: hooks.MaxRequestTimeReached, PID: 7, RequestPath: "/slow"}
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &recorder{hold: takes(time.Minute)}
			r := newRunner(logr.Discard(), h)
			begin := time.Now()
			require.NoError(t, r.Run(t.Context(), event))

			require.Equal(t, time.Minute, time.Since(begin))
			require.Equal(t, []hooks.Event{event}, h.told())
			require.NoError(t, r.Close(t.Context()))
		})
	})
	t.Run("fails", func(t *testing.T) {
		leakgate.Check(t)
		var log logged.Buffer
		mistake := errors.New("mistake")
		h := &recorder{}
		r := newRunner(log.Logger(), hooks.HookFunc(func(context.Context, hooks.Event) error { return mistake }), h)
		require.ErrorIs(t, r.Run(t.Context(), event), mistake)

		require.Empty(t, log.String(), "the caller knows")
		require.Len(t, h.told(), 1, "the other hook gets it")
		require.NoError(t, r.Close(t.Context()))
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			r := newRunner(logr.Discard(), hooks.HookFunc(func(context.Context, hooks.Event) error {
				<-release
				return nil
			}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := r.Run(ctx, event)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "max_request_time_reached")
			close(release)
			require.NoError(t, r.Close(t.Context()))
		})
	})
	t.Run("until it is closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRunner(logr.Discard(), hooks.HookFunc(untilCancelled))
			result := make(chan error)
			go func() { result <- r.Run(t.Context(), event) }()
			synctest.Wait()

			require.ErrorContains(t, r.Close(ended()), "max_request_time_reached (1 running, 0 waiting)")
			require.ErrorIs(t, <-result, hooks.ErrClosed)
		})
	})
}

func TestHookThatPanicsOrLeaves(t *testing.T) {
	for name, test := range map[string]struct {
		hold func(context.Context, hooks.Event) error
		want string
	}{
		"panic": {
			func(context.Context, hooks.Event) error { panic("oh no") },
			"the spawn_failed hook panicked: oh no",
		},
		"goexit":   {func(context.Context, hooks.Event) error { runtime.Goexit(); return nil }, "runtime.Goexit"},
		"an error": {func(context.Context, hooks.Event) error { return errors.New("oh no") }, "oh no"},
	} {
		t.Run(name, func(t *testing.T) {
			leakgate.Check(t)
			var log logged.Buffer

			r := newRunner(log.Logger(), hooks.HookFunc(test.hold))
			for range 3 {
				r.Fire(hooks.Event{Name: hooks.SpawnFailed, GroupName: "shop"})
			}

			require.ErrorContains(t, r.Run(t.Context(), spawnFailedEvent), test.want)
			require.NoError(t, r.Close(t.Context()))
			require.Equal(t, 3, log.Count(test.want), log.String())
			require.Equal(t, 3, log.Count(`"hook"="spawn_failed" "app"="shop"`))
			requireEvents(t, r, hooks.SpawnFailed, 0, 0)
		})
	}
}

func TestCloseKillsScripts(t *testing.T) {
	b := newBench(t)
	b.fifo("pid")
	s := b.spawnFailed(b.script("hook", `echo $$ > $DIR/pid; sleep 1000`))
	r := newRunner(b.log.Logger(), s)
	r.Fire(spawnFailedEvent)
	pid := b.hear("pid")
	require.ErrorContains(t, r.Close(ended()), "spawn_failed (1 running, 0 waiting)")
	require.Equal(t, 1, b.log.Count("a hook failed"))
	require.Contains(t, b.log.String(), "(PID "+pid+") was killed")
}
