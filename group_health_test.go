package passenger_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// health says how processes respond to their health check.
type health struct {
	status atomic.Int32
	hangs  atomic.Bool
}

func (h *health) script() spawnertest.Script {
	h.status.Store(http.StatusOK)

	return spawnertest.Script{HandlerFor: func(*spawnertest.Process) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h.hangs.Load() {
				<-r.Context().Done()
			}

			w.WriteHeader(int(h.status.Load()))
		})
	}}
}

func checked(minimum int) *passenger.Options {
	o := options("a")
	o.MinProcesses, o.App.HealthPath = minimum, "/up"
	return o
}

func requireUnhealthy(t require.TestingT, err error) {
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, spawner.CategoryHealth, e.Category)
	require.Contains(t, e.Summary, "the health check GET /up (Host: localhost) failed")
}

// TestHealthOfEachStart: whichever Spawner starts a process, and whatever for,
// it gets requests only if it passes its health check.
func TestHealthOfEachStart(t *testing.T) {
	var h health
	inBubble(t, 3, h.script(), func(f *fixture) {
		o := checked(0)

		h.status.Store(http.StatusServiceUnavailable)
		_, err := f.Get(f.Context(), o)
		requireUnhealthy(f, err)
		synctest.Wait()
		require.Zero(f, f.factory.Live(), "the process is ended")

		h.status.Store(http.StatusOK)
		first := f.get(o)
		require.Equal(f, uint64(0), f.group("a").Processes[0].Processed, "a health check is no request")

		h.status.Store(http.StatusServiceUnavailable)
		time.Sleep(time.Minute) // the next attempt is spaced
		second := f.ask(o)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live(), "none for capacity")
		require.Zero(f, second.times, "the process that there is will serve it")
		first.Close(passenger.KeepAlive)
		require.NoError(f, second.err)
		second.session.Close(passenger.KeepAlive)
		requireUnhealthy(f, f.group("a").LastSpawnError.Err)

		counts := f.group("a").Counts
		require.Equal(f, [2]uint64{3, 2}, [2]uint64{counts.HealthChecks, counts.HealthFailures})
	})
}

func TestHealthOfTheMinimum(t *testing.T) {
	var h health
	inBubble(t, 3, h.script(), func(f *fixture) {
		o := checked(2)
		f.get(o).Close(passenger.KeepAlive)
		synctest.Wait()
		require.Equal(f, 2, f.factory.Live())

		h.status.Store(http.StatusInternalServerError)
		require.True(f, f.factory.Kill(1000))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live())
		require.Greater(f, f.factory.Spawns(), 3, "it is tried again")

		h.status.Store(http.StatusOK)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(f, 2, f.factory.Live())
	})
}

func TestHealthOfRestarts(t *testing.T) {
	var h health
	inBubble(t, 3, h.script(), func(f *fixture) {
		o := checked(2)
		f.started(o, 2)
		before := f.pids("a")

		h.status.Store(http.StatusInternalServerError)
		result := f.begin(passenger.RestartOptions{})
		synctest.Wait()
		requireUnhealthy(f, <-result)
		require.Equal(f, before, f.pids("a"), "the old processes serve on")
		f.get(o).Close(passenger.KeepAlive)

		h.status.Store(http.StatusOK)
		result = f.begin(passenger.RestartOptions{})
		synctest.Wait()
		require.NoError(f, <-result)
		require.NotContains(f, f.pids("a"), before[0])
		require.NotContains(f, f.pids("a"), before[1])

		h.status.Store(http.StatusInternalServerError)
		requireUnhealthy(f, f.Restart(f.Context(), "a", passenger.RestartOptions{Method: passenger.RestartBlocking}))
		_, err := f.Get(f.Context(), o)
		requireUnhealthy(f, err)
	})
}

// TestHealthCheckEndsWithThePool: nothing waits for a process that hangs.
func TestHealthCheckEndsWithThePool(t *testing.T) {
	var h health
	inBubble(t, 3, h.script(), func(f *fixture) {
		h.hangs.Store(true)
		o := checked(0)
		o.App.HealthTimeout, o.App.StartTimeout = time.Hour, 2*time.Hour
		a := f.ask(o)
		synctest.Wait()
		require.Equal(f, 1, f.factory.Live())

		began := time.Now()
		require.NoError(f, f.Close())
		require.Zero(f, time.Since(began))
		require.Error(f, a.err)
	})
}
