package passengerotel_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/gopassenger/passenger"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	passengerotel "github.com/gopassenger/passenger/contrib/otel"
)

// metrics are those of a collection, by their names.
func (s *stage) metrics() map[string]metricdata.Metrics {
	s.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(s, s.reader.Collect(context.Background(), &collected))

	all := map[string]metricdata.Metrics{}
	for _, scope := range collected.ScopeMetrics {
		require.Equal(s, passengerotel.ScopeName, scope.Scope.Name)

		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}

	return all
}

func TestMetricsByTheSemanticConventions(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		s.ask(http.MethodGet, "/?token=secret")
		s.ask("BREW", "/error")
		require.NoError(s, s.pool.Restart(s.Context(), "shop", passenger.RestartOptions{}))
		synctest.Wait()
		got := s.metrics()

		duration := got["http.server.request.duration"]
		require.Equal(s, "s", duration.Unit)
		points := histogram(s.T, duration)
		require.Len(s, points, 2)

		want := map[attribute.Distinct]bool{}
		for _, set := range [][]attribute.KeyValue{
			{attribute.String("http.request.method", "GET"), attribute.Int("http.response.status_code", 200)},
			{
				attribute.String("http.request.method", "_OTHER"),
				attribute.Int("http.response.status_code", 500),
				attribute.String("error.type", "500"),
			},
		} {
			all := attribute.NewSet(append(set, attribute.String("url.scheme", "http"),
				attribute.String("network.protocol.version", "1.1"), attribute.String("passenger.app.name", "shop"))...)
			want[all.Equivalent()] = true
		}

		for _, p := range points {
			require.Equal(s, uint64(1), p.Count)
			require.True(s, want[p.Attributes.Equivalent()], p.Attributes.Encoded(attribute.DefaultEncoder()))
			require.Len(s, p.Exemplars, 1, "a trace for the figure")
		}

		for _, p := range counter(s.T, got["http.server.active_requests"]) {
			require.Zero(s, p.Value)
		}

		require.Len(s, counter(s.T, got["http.server.active_requests"]), 2)
		require.InDelta(s, 1.0, sum(s.T, got["passenger.request.queue.duration"]), 0.01,
			"the first waited for the start")
		require.InDelta(s, 2.0, sum(s.T, got["passenger.spawn.duration"]), 0.01)
		require.InDelta(s, 1.0, sum(s.T, got["passenger.restart.duration"]), 0.01)
		require.Equal(s, int64(1), counter(s.T, got["passenger.processes"])[0].Value)
	})
}

func histogram(t *testing.T, m metricdata.Metrics) []metricdata.HistogramDataPoint[float64] {
	t.Helper()
	data, ok := m.Data.(metricdata.Histogram[float64])
	require.True(t, ok, m.Name)

	return data.DataPoints
}

func counter(t *testing.T, m metricdata.Metrics) []metricdata.DataPoint[int64] {
	t.Helper()
	data, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok, m.Name)

	return data.DataPoints
}

func sum(t *testing.T, m metricdata.Metrics) (total float64) {
	t.Helper()

	for _, p := range histogram(t, m) {
		total += p.Sum
	}

	return total
}

func TestRequestsThatGoOnAreCounted(t *testing.T) {
	play(t, passengerotel.Config{}, func(s *stage) {
		hold := s.factory.Hold("shop")
		done := make(chan int, 1)
		go func() {
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			done <- w.Code
		}()
		require.NoError(s, hold.Wait(s.Context(), 1))
		require.Equal(s, int64(1), counter(s.T, s.metrics()["http.server.active_requests"])[0].Value)
		hold.Release(nil)
		require.Equal(s, 200, <-done)
		require.Equal(s, int64(0), counter(s.T, s.metrics()["http.server.active_requests"])[0].Value)
	})
}
