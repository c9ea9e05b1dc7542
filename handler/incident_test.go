package handler_test

import (
	"context"
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
