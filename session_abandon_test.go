package passenger_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// worker is an application whose process works on a request until the test says how that ends.
type worker struct {
	// told is sent to when the process sees that nobody waits for it any more.
	told chan struct{}
	// end is what the process does then: it responds with this, or closes the connection.
	end chan string
}

func (w *worker) serve(_ *spawnertest.Process, c net.Conn) {
	_, _ = io.Copy(io.Discard, c)
	w.told <- struct{}{}
	_, _ = io.WriteString(c, <-w.end)
}

// abandoned returns a pool whose one process works on an abandoned request, in real time and by a
// real socket, as pipes have no directions to close.
func abandoned(t *testing.T, change func(*passenger.Options)) (*passenger.Pool, *passenger.Options, *worker) {
	t.Helper()
	w := &worker{told: make(chan struct{}, 1), end: make(chan string, 1)}
	factory := spawnertest.New(spawnertest.Script{ServeConn: w.serve, UnixDir: t.TempDir()})
	pool, err := passenger.New(passenger.Config{MaxPoolSize: 1, Spawner: factory, SelfChecks: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })

	opts := options("a")
	change(opts)
	s, err := pool.Get(t.Context(), opts)
	require.NoError(t, err)
	conn, err := s.Connect(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Unix(1, 0)), "as if the client had left")
	s.Abandon()
	<-w.told

	return pool, opts, w
}

// Faults: D6.
func TestAbandonedSessionKeepsItsPlaceWhileTheProcessWorks(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]string{"it responds": "HTTP/1.1 200 OK\r\n", "it closes the connection": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, opts, w := abandoned(t, func(*passenger.Options) {})

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

			s.Abandon()
			require.Zero(t, pool.Inspect().Groups[0].Processes[0].Sessions)
			_, err = s.Connect(context.Background())
			require.ErrorIs(t, err, passenger.ErrSessionClosed)
		})
	}
}
