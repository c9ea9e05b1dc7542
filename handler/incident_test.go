package handler_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// flightRecorder keeps incidents.
type flightRecorder struct {
	mu    sync.Mutex
	found []*passenger.Incident
}

func (r *flightRecorder) Record(_ context.Context, in *passenger.Incident) (id, file string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, in)

	return "7", "/incidents/7.json"
}

func (r *flightRecorder) take() []*passenger.Incident {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.found
	r.found = nil

	return found
}

// recorded serves an application with a recorder, which may be nil. ask returns the status.
func recorded(t *testing.T, r passenger.IncidentRecorder, script spawnertest.Script,
	test func(h *handler.Handler, ask func(target string) int),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(script), SelfChecks: true, Incidents: r})
		require.NoError(t, err)
		defer func() { require.NoError(t, pool.Close()) }()

		h, err := handler.New(pool, handler.Config{Options: passenger.Options{
			App:                 spawner.App{Root: "/app", GroupName: "app"},
			MaxRequestQueueTime: time.Second,
		}})
		require.NoError(t, err)
		test(h, func(target string) int {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
			return w.Code
		})
	})
}

func TestRequestThatWaitsTooLongIsAnIncident(t *testing.T) {
	r := &flightRecorder{}
	recorded(t, r, spawnertest.Script{SpawnDelay: time.Hour}, func(h *handler.Handler, ask func(string) int) {
		for range 3 {
			require.Equal(t, http.StatusGatewayTimeout, ask("http://shop/a?b"))
		}

		found := r.take()
		require.Len(t, found, 1, "a client can cause as many as it likes")
		require.Equal(t, passenger.IncidentQueueTime, found[0].Cause)
		require.Equal(t, "app", found[0].AppName)
		require.Equal(t, "1s", found[0].Limit)
		require.Equal(t, "http://shop/a?b", found[0].Target)
		require.Equal(t, h.Inspect().Failed[0].ID, found[0].RequestID)
		require.Nil(t, found[0].Process)

		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusGatewayTimeout, ask("http://shop/a?b"))
		require.Len(t, r.take(), 1)
	})
}

// silentApp closes each connection without a response.
var silentApp = spawnertest.Script{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
	panic(http.ErrAbortHandler)
})}

func TestRequestWithoutResponseIsAnIncident(t *testing.T) {
	r := &flightRecorder{}
	recorded(t, r, silentApp, func(h *handler.Handler, ask func(string) int) {
		for range 2 {
			require.Equal(t, http.StatusBadGateway, ask("http://shop/a"))
		}

		found := r.take()
		require.Len(t, found, 1)
		require.Equal(t, passenger.IncidentNoResponse, found[0].Cause)
		require.Equal(t, 1000, found[0].Process.Info().PID)
		require.Contains(t, found[0].Error, "closed the connection before it responded")

		failed := h.Inspect().Failed
		require.Len(t, failed, 2)
		require.Equal(t, 1000, failed[0].PID)
		require.NotZero(t, failed[0].Failed)

		for range 20 {
			ask("http://shop/a")
		}

		require.Len(t, h.Inspect().Failed, 16)
	})
}

func TestFailedRequestsAreForgottenWithoutARecorder(t *testing.T) {
	recorded(t, nil, silentApp, func(h *handler.Handler, ask func(string) int) {
		require.Equal(t, http.StatusBadGateway, ask("http://shop/a"))
		require.Empty(t, h.Inspect().Failed)
	})
}

// Streams end because the operator asked for it, or because their process was to end anyway. None is the application's
// fault.
func TestStreamThatTheServerEndsIsNoIncident(t *testing.T) {
	stream := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: x\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})}

	for name, end := range map[string]func(ctx context.Context, pool *passenger.Pool, h *handler.Handler) error{
		"the server shuts down": func(_ context.Context, _ *passenger.Pool, h *handler.Handler) error {
			h.Drain()
			return nil
		},
		"the client is cut": func(_ context.Context, _ *passenger.Pool, h *handler.Handler) error {
			h.Disconnect(h.Inspect().Requests[0].ID)
			return nil
		},
		"restart": func(ctx context.Context, pool *passenger.Pool, _ *handler.Handler) error {
			return pool.Restart(ctx, "app", passenger.RestartOptions{})
		},
		"the process leaves": func(_ context.Context, pool *passenger.Pool, _ *handler.Handler) error {
			return pool.DetachProcess("1000")
		},
		"the application leaves": func(ctx context.Context, pool *passenger.Pool, _ *handler.Handler) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			require.ErrorIs(t, pool.DetachApp(ctx, "app"), context.DeadlineExceeded, "the stream is open")

			return nil
		},
		"the pool closes": func(_ context.Context, pool *passenger.Pool, _ *handler.Handler) error {
			return pool.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, stream, func(s *site) {
				r := &flightRecorder{}
				pool := spawnertest.NewPool(s, passenger.Config{Spawner: s.factory, MaxPoolSize: 2, Incidents: r})
				defer pool.Close()
				h, err := handler.New(pool, s.cfg)
				require.NoError(s, err)
				s.front = h

				c := s.dial()
				defer c.Close()
				_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(s, err)
				go func() { _, _ = io.Copy(io.Discard, c) }()
				synctest.Wait()
				require.Len(s, h.Inspect().Requests, 1)

				require.NoError(s, end(s.Context(), pool, h))
				time.Sleep(time.Hour) // beyond the time for the last requests
				require.NoError(s, pool.Close())
				require.Empty(s, r.take())
				require.Empty(s, h.Inspect().Requests)
			})
		})
	}
}
