package apiserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// One look at a pool of as many applications as the name says, each with a process and requests of all durations.
func BenchmarkMetricsOf1000Applications(b *testing.B) {
	const apps = 1000
	pool, err := passenger.New(passenger.Config{ // without SelfChecks, which look at all of it
		MaxPoolSize: apps,
		Spawner:     spawnertest.New(spawnertest.Script{}),
		Logger:      passenger.Silent(),
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, pool.Close()) })

	all := make([]metrics.Requests, apps)
	for i := range all {
		name := fmt.Sprintf("/srv/applications/%04d (production)", i)
		options := passenger.Options{App: spawner.App{Root: fmt.Sprintf("/srv/%d", i), GroupName: name}}
		require.NoError(b, pool.Start(b.Context(), &options))

		all[i] = metrics.Requests{
			AppName:   name,
			Begun:     1_234_567,
			Durations: durations(time.Millisecond, 30*time.Millisecond, time.Second, time.Minute, time.Hour),
			Queued:    durations(0, 3*time.Millisecond, time.Second),
			Responses: [10]uint64{2: 1_000_000, 3: 2345, 4: 678, 5: 9},
		}
	}

	for name, accept := range map[string]string{
		"text":     "text/plain",
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		b.Run(name, func(b *testing.B) {
			s, err := apiserver.New(apiserver.Config{
				Pool:             pool,
				RequestFigures:   func() []metrics.Requests { return all },
				NativeHistograms: true,
				Logger:           passenger.Silent(),
			})
			require.NoError(b, err)
			r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
			r.Header.Set("Accept", accept)

			b.ReportAllocs()

			for b.Loop() {
				w := httptest.NewRecorder()
				s.Metrics().ServeHTTP(w, r)
				b.SetBytes(int64(w.Body.Len()))
			}
		})
	}
}
