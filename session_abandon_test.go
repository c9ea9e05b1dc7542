package passenger_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// worker is an application whose process works on a request until the test says how that ends.
type worker struct {
	// told is sent to when the process sees that no client waits for it any more.
	told chan struct{}
	// end is what the process does then: it responds with this, or closes the connection.
	end chan string
}

func (w *worker) serve(_ *spawnertest.Process, c net.Conn) {
	_, _ = io.Copy(io.Discard, c)
	w.told <- struct{}{}
	_, _ = io.WriteString(c, <-w.end)
}

// abandoned returns a pool whose one process works on an abandoned request.
func abandoned(t *testing.T, change func(*passenger.Options)) (*passenger.Pool, *passenger.Options, *worker) {
	t.Helper()
	pool, opts, w, _ := abandonedIn(t, passenger.Config{}, change)

	return pool, opts, w
}

// abandonedIn has a pool with more settings, in real time and with a real socket, as pipes have no directions to
// close. over gets whether the process gave no response.
func abandonedIn(t *testing.T, cfg passenger.Config, change func(*passenger.Options)) (
	*passenger.Pool, *passenger.Options, *worker, <-chan bool,
) {
	t.Helper()
	w := &worker{told: make(chan struct{}, 1), end: make(chan string, 1)}
	cfg.MaxPoolSize, cfg.SelfChecks = 1, true
	cfg.Spawner = spawnertest.New(spawnertest.Script{ServeConn: w.serve, UnixDir: t.TempDir()})
	pool, err := passenger.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })

	opts := options("a")
	change(opts)
	s, err := pool.Get(t.Context(), opts)
	require.NoError(t, err)
	conn, err := s.Connect(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Unix(1, 0)), "as if the client had left")

	over := make(chan bool, 1)
	s.Abandon(func(unanswered bool) { over <- unanswered })
	<-w.told

	return pool, opts, w, over
}

// Faults: D6.
func TestAbandonedSessionKeepsItsPlaceWhileTheProcessWorks(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]string{"it responds": "HTTP/1.1 200 OK\r\n", "it closes the connection": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, opts, w, over := abandonedIn(t, passenger.Config{}, func(*passenger.Options) {})

			got := make(chan error, 1)
			pool.AsyncGet(opts, func(s *passenger.Session, err error) {
				if err == nil {
					s.Close(passenger.Discard)
				}

				got <- err
			})
			pr := pool.Inspect().Groups[0].Processes[0]
			require.Equal(t, 1, pr.Sessions)
			require.Equal(t, 1, pr.AbandonedSessions)
			require.Equal(t, 1, pool.Inspect().Groups[0].QueueLength)
			require.Contains(t, pool.Explain(opts.App.Name(), nil)[0].Reasons, passenger.Reason{
				Kind:    passenger.ReasonAbandoned,
				Text:    "1 request, whose client has left, holds one of the 1 slots",
				Setting: "MaxRequestTime",
			})
			require.Empty(t, got)

			w.end <- end
			require.Equal(t, end == "", <-over)
			require.NoError(t, <-got)
			require.Zero(t, pool.Inspect().Groups[0].Processes[0].AbandonedSessions)
		})
	}
}

// Faults: D6.
func TestAbandonedSessionHoldsUpNoEnd(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(t *testing.T, pool *passenger.Pool, o *passenger.Options){
		"of the process": func(t *testing.T, pool *passenger.Pool, o *passenger.Options) {
			t.Helper()
			require.NoError(t, pool.DetachProcess(pool.Inspect().Groups[0].Processes[0].GUPID))
			s, err := pool.Get(t.Context(), o)
			require.NoError(t, err)
			s.Close(passenger.Discard)
		},
		"of the application": func(t *testing.T, pool *passenger.Pool, o *passenger.Options) {
			t.Helper()
			require.NoError(t, pool.DetachApp(t.Context(), o.App.Name()))
		},
		"of the release": func(t *testing.T, pool *passenger.Pool, o *passenger.Options) {
			t.Helper()
			require.NoError(t, pool.Restart(t.Context(), o.App.Name(), passenger.RestartOptions{}))
		},
		"of the pool": func(t *testing.T, pool *passenger.Pool, _ *passenger.Options) {
			t.Helper()
			require.NoError(t, pool.Shutdown(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, opts, w := abandoned(t, func(o *passenger.Options) { o.KeepLongSessions = true })
			end(t, pool, opts)
			close(w.end)
		})
	}
}

// Faults: D6.
func TestAbandonedSessionHasItsTimeLimit(t *testing.T) {
	t.Parallel()
	pool, opts, w := abandoned(t, func(o *passenger.Options) { o.MaxRequestTime = time.Second / 10 })
	first := pool.Inspect().Groups[0].Processes[0].GUPID
	s, err := pool.Get(t.Context(), opts)
	require.NoError(t, err)
	require.NotEqual(t, first, s.GUPID())
	s.Close(passenger.Discard)
	close(w.end)
}

// onlooker is a recorder and a hook that wait until the test has looked at the process.
type onlooker struct {
	looking chan spawner.Process
	done    chan struct{}
}

func (o *onlooker) Record(ctx context.Context, in *passenger.Incident) (id, file string) {
	o.look(ctx, in.Process)
	return "", ""
}

func (o *onlooker) hook(ctx context.Context, _ hooks.Event) error {
	o.look(ctx, nil)
	return nil
}

func (o *onlooker) look(ctx context.Context, pr spawner.Process) {
	select {
	case o.looking <- pr:
	case <-ctx.Done():
	}

	select {
	case <-o.done:
	case <-ctx.Done():
	}
}

// The recorder and the hook find the process in the middle of its work.
func TestAbandonedSessionStaysWhileItsTimeLimitIsLookedInto(t *testing.T) {
	t.Parallel()

	look := &onlooker{looking: make(chan spawner.Process), done: make(chan struct{})}
	pool, _, w, over := abandonedIn(t, passenger.Config{
		Incidents: look,
		Hooks:     []hooks.Hook{hooks.On(hooks.HookFunc(look.hook), hooks.MaxRequestTimeReached)},
	}, func(o *passenger.Options) { o.MaxRequestTime = time.Second / 10 })

	pr := <-look.looking
	for _, who := range []string{"recorder", "hook"} {
		processes := pool.Inspect().Groups[0].Processes
		require.Len(t, processes, 1, who)
		require.Equal(t, 1, processes[0].Sessions, who)
		require.False(t, processes[0].Stopping, who)
		require.Empty(t, pr.ExitStatus(), who)

		look.done <- struct{}{}
		if who == "recorder" {
			<-look.looking
		}
	}

	<-pr.Exited()
	require.True(t, <-over)
	close(w.end)
}

// Not only its own time limit counts: it may be why the process uses too much memory.
func TestAbandonedSessionStaysWhileAnIncidentIsRecorded(t *testing.T) {
	t.Parallel()

	look := &onlooker{looking: make(chan spawner.Process), done: make(chan struct{})}
	pool, _, w, over := abandonedIn(t, passenger.Config{
		Incidents:       look,
		MetricsInterval: time.Hour,
	}, func(o *passenger.Options) { o.MemoryLimit = 1 })
	use := &sampler{use: map[int]int64{pool.Inspect().Groups[0].Processes[0].PID: 2}}
	passenger.SetSampler(pool, use.sample)
	pool.ReadMetrics()

	<-look.looking
	require.Equal(t, 1, pool.Inspect().Groups[0].Processes[0].AbandonedSessions)
	look.done <- struct{}{}
	require.True(t, <-over)
	close(w.end)
}

// TestAbandonWithoutAPlaceToKeep: where the process takes any number of requests, or has no connection.
func TestAbandonWithoutAPlaceToKeep(t *testing.T) {
	t.Parallel()

	for name, script := range map[string]spawnertest.Script{
		"no limit":             {Concurrency: spawnertest.Unlimited, UnixDir: t.TempDir()},
		"no directions":        {},
		"closed before":        {UnixDir: t.TempDir()},
		"not connected at all": {UnixDir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script.ServeConn = func(_ *spawnertest.Process, c net.Conn) { _, _ = io.Copy(io.Discard, c) }
			pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(script), SelfChecks: true})
			require.NoError(t, err)
			defer func() { require.NoError(t, pool.Close()) }()

			s, err := pool.Get(t.Context(), options("a"))
			require.NoError(t, err)
			if name != "not connected at all" {
				_, err = s.Connect(t.Context())
				require.NoError(t, err)
			}

			if name == "closed before" {
				s.Close(passenger.Discard)
			}

			over := []bool{}
			s.Abandon(func(unanswered bool) { over = append(over, unanswered) })
			s.Abandon(nil) // a second call has no effect
			require.Equal(t, []bool{false}, over)
			require.Zero(t, pool.Inspect().Groups[0].Processes[0].Sessions)
			_, err = s.Connect(context.Background())
			require.ErrorIs(t, err, passenger.ErrSessionClosed)
		})
	}
}

// Close may be called by any goroutine, and so it is when an abandoned session gives up its place while the process
// responds.
func TestCloseBesideReportIsNoRace(t *testing.T) {
	inBubble(t, 1, spawnertest.Script{}, func(f *fixture) {
		s := f.get(options("a"))
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.Close(passenger.Discard)
		}()
		s.Report(nil)
		<-closed
	})
}
