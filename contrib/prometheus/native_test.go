package passengerprometheus_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// protobuf is what a server shows to a scraper that takes the format of native histograms.
func (h *house) protobuf(stats func() []metrics.Requests) families {
	h.Helper()
	server, err := apiserver.New(apiserver.Config{
		Pool:             h.pool,
		RequestFigures:   stats,
		NativeHistograms: true,
		Logger:           passenger.Silent(),
	})
	require.NoError(h, err)

	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", string(format))
	w := httptest.NewRecorder()
	server.Metrics().ServeHTTP(w, r)
	require.Equal(h, expfmt.TypeProtoDelim, expfmt.ResponseFormat(w.Header()).FormatType())

	all := families{}
	for decoder := expfmt.NewDecoder(w.Body, format); ; {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(h, err)
		}

		require.NotContains(h, all, f.GetName())
		all[f.GetName()] = &f
	}
}

func TestProtobufHasWhatTheTextHasAndNativeHistograms(t *testing.T) {
	inHouse(t, nil, func(h *house) {
		defer h.fill().Close(passenger.KeepAlive)
		synctest.Wait()

		got := h.protobuf(h.requests)

		for _, f := range got {
			for _, m := range f.GetMetric() {
				m.Histogram = withoutNative(m.GetHistogram())
			}
		}

		for name, f := range h.server(h.requests) {
			for _, m := range f.GetMetric() {
				m.Histogram = withoutNative(m.GetHistogram())
			}

			require.Contains(h, got, name)
			require.Equal(h, sorted(f), sorted(got[name]), name)
			delete(got, name)
		}

		require.Empty(h, got)
	})
}

// withoutNative is what text formats have of a histogram.
func withoutNative(h *dto.Histogram) *dto.Histogram {
	if h == nil {
		return nil
	}

	classic := &dto.Histogram{SampleCount: h.SampleCount, SampleSum: h.SampleSum}
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() < 1e9 { // the text has that of infinity
			classic.Bucket = append(classic.Bucket, b)
		}
	}

	return classic
}

// Prometheus's own library is the reference.
func TestNativeHistogramsAreThoseOfPrometheus(t *testing.T) {
	for name, observed := range map[string][]time.Duration{
		"nothing":  nil,
		"one":      {time.Second},
		"zero":     {0, 10 * time.Microsecond},
		"many":     {time.Millisecond, 3 * time.Millisecond, 3 * time.Millisecond, 90 * time.Millisecond, time.Minute, 0},
		"adjacent": {time.Second, time.Second - time.Microsecond, time.Second + 100*time.Millisecond, 2 * time.Second},
		"an hour":  {time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			reference := prometheus.NewHistogram(prometheus.HistogramOpts{
				Name:                         "passenger_app_request_duration_seconds",
				Buckets:                      []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
				NativeHistogramBucketFactor:  1.1, // of schema 3
				NativeHistogramZeroThreshold: 1. / (1 << 14),
			})
			for _, d := range observed {
				reference.Observe(d.Seconds())
			}

			var want dto.Metric
			require.NoError(t, reference.Write(&want))

			inHouse(t, nil, func(h *house) {
				h.factory.ChangeApp("shop", func(s *spawnertest.Script) {
					s.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						wait, _ := time.ParseDuration(r.URL.RawQuery)
						<-time.After(wait)
					})
				})
				shop := h.handler(app("shop"))

				for _, d := range observed {
					require.Equal(h, 200, h.get(shop, "/?"+d.String()))
				}

				got := h.protobuf(h.requests)["passenger_app_request_duration_seconds"]
				require.Len(h, got.GetMetric(), 1)

				histogram := got.GetMetric()[0].GetHistogram()
				want.Histogram.CreatedTimestamp = nil
				require.True(h, proto.Equal(want.GetHistogram(), histogram), "%v\n%v", want.GetHistogram(), histogram)
			})
		})
	}
}
