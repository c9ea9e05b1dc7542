package passengerprometheus_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/metrics"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	passengerprometheus "github.com/gopassenger/passenger/contrib/prometheus"
)

// evil is a name that a directory may have and no label can.
const evil = "a\"b\\c\xff{}"

// house is a pool with applications in all states that /metrics tells apart.
type house struct {
	*testing.T
	factory  *spawnertest.Factory
	pool     *passenger.Pool
	handlers []*handler.Handler
}

func app(name string) passenger.Options {
	return passenger.Options{App: spawner.App{Root: "/" + name, GroupName: name}}
}

// inHouse runs a test in virtual time.
func inHouse(t *testing.T, observer passenger.Observer, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		factory := spawnertest.New(spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request,
		) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			if r.URL.Path == "/missing" {
				http.NotFound(w, r)
			}
		})})
		cfg := passenger.Config{
			Spawner:     factory,
			Observer:    observer,
			MaxPoolSize: 20,
			Logger:      passenger.Silent(),
		}
		test(&house{T: t, factory: factory, pool: spawnertest.NewPool(t, cfg)})
	})
}

func (h *house) handler(options passenger.Options) *handler.Handler {
	h.Helper()
	app, err := handler.New(h.pool, handler.Config{Options: options, Logger: passenger.Silent()})
	require.NoError(h, err)
	h.handlers = append(h.handlers, app)

	return app
}

func (h *house) get(app http.Handler, path string) int {
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://shop.example"+path, http.NoBody))

	return w.Code
}

// fill lets happen whatever shows; the session is open.
func (h *house) fill() *passenger.Session {
	h.Helper()

	shop := h.handler(app("shop"))
	for range 3 {
		require.Equal(h, 200, h.get(shop, "/"))
	}

	require.Equal(h, 404, h.get(shop, "/missing"))
	require.Equal(h, 200, h.get(h.handler(app("shop")), "/"), "two handlers, one application")
	require.Equal(h, 200, h.get(h.handler(app(evil)), "/"))
	h.handler(app("unasked"))

	limited := app("limited")
	limited.MinProcesses, limited.MaxProcesses = 2, 3
	require.NoError(h, h.pool.Start(h.Context(), &limited))
	require.NoError(h, h.pool.Restart(h.Context(), "limited", passenger.RestartOptions{}))
	processes := h.pool.Inspect().Groups[slices.IndexFunc(h.pool.Inspect().Groups, named("limited"))].Processes
	require.NoError(h, h.pool.Disable(h.Context(), processes[0].GUPID))

	broken := app("broken")
	require.NoError(h, h.pool.Start(h.Context(), &broken))
	h.factory.ChangeApp("broken", func(s *spawnertest.Script) {
		s.BeforeSpawn = func(context.Context, int, spawner.App) error { return errors.New("broken") }
	})
	require.Error(h, h.pool.Restart(h.Context(), "broken", passenger.RestartOptions{}))

	options := app("busy")
	session, err := h.pool.Get(h.Context(), &options)
	require.NoError(h, err)

	return session
}

func named(name string) func(passenger.GroupSnapshot) bool {
	return func(g passenger.GroupSnapshot) bool { return g.Name == name }
}

// requests are those of each handler.
func (h *house) requests() (all []metrics.Requests) {
	for _, app := range h.handlers {
		all = append(all, app.Figures())
	}

	return all
}

type families map[string]*dto.MetricFamily

func parse(t *testing.T, text []byte) families {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	require.NoError(t, err)

	return all
}

// server is what /metrics shows.
func (h *house) server(stats func() []metrics.Requests) families {
	h.Helper()
	w := httptest.NewRecorder()
	apiserver.Metrics(h.pool, stats).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))

	return parse(h.T, w.Body.Bytes())
}

// gather is what a registry shows that checks what collectors send, as a text, so that it
// is as exact as the server's.
func (h *house) gather(cfg passengerprometheus.Config) families {
	h.Helper()
	cfg.Pool = h.pool
	c, err := passengerprometheus.New(cfg)
	require.NoError(h, err)
	registry := prometheus.NewPedanticRegistry()
	require.NoError(h, registry.Register(c))
	all, err := registry.Gather()
	require.NoError(h, err)

	var text bytes.Buffer
	for _, f := range all {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(h, err)
	}

	return parse(h.T, text.Bytes())
}

// equal compares names, texts, types, labels and values.
func (h *house) equal(want, got families) {
	h.Helper()
	require.NotEmpty(h, want)

	for name, f := range want {
		require.Contains(h, got, name)
		require.Equal(h, sorted(f), sorted(got[name]), name)
	}

	require.Len(h, got, len(want))
}

// sorted is a family as text, with the samples in order.
func sorted(f *dto.MetricFamily) []string {
	lines := make([]string, 0, 1+len(f.GetMetric()))

	lines = append(lines, f.GetName()+" "+f.GetHelp()+" "+f.GetType().String())
	for _, m := range f.GetMetric() {
		lines = append(lines, m.String())
	}

	slices.Sort(lines[1:])

	return lines
}

func TestCollectorShowsWhatTheServersMetricsShow(t *testing.T) {
	inHouse(t, nil, func(h *house) {
		defer h.fill().Close(passenger.KeepAlive)
		synctest.Wait()

		all := func() []*handler.Handler { return h.handlers }
		want := h.server(h.requests)
		require.Len(h, want, 32, "all of them have samples")
		h.equal(want, h.gather(passengerprometheus.Config{Handlers: all}))
		h.equal(want, h.gather(passengerprometheus.Config{Handlers: passengerprometheus.HandlersOf(h.handlers...)}))
		h.equal(h.server(nil), h.gather(passengerprometheus.Config{}))
	})
}

func TestCollectorShowsAnEmptyPoolAsTheServerDoes(t *testing.T) {
	inHouse(t, nil, func(h *house) {
		h.equal(h.server(nil), h.gather(passengerprometheus.Config{}))
	})
}

func TestObserverCountsTheRequestsThatTheServerCounts(t *testing.T) {
	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
	require.NoError(t, err)
	inHouse(t, observer, func(h *house) {
		defer h.fill().Close(passenger.KeepAlive)
		h.handlers = slices.DeleteFunc(h.handlers, func(app *handler.Handler) bool {
			return app.Inspect().AppName == "unasked"
		})
		synctest.Wait()

		got := h.gather(passengerprometheus.Config{
			Observer: observer,
			Handlers: passengerprometheus.HandlersOf(h.handlers...),
		})
		require.Positive(h, histogram(h, got, "passenger_app_request_queue_seconds", label("app", "shop")))

		const restarts = "passenger_app_restart_duration_seconds"
		require.EqualValues(h, 1, histogram(h, got, restarts, label("app", "broken"), label("outcome", "failure")))
		require.EqualValues(h, 1, histogram(h, got, restarts, label("app", "limited"), label("outcome", "success")))
		delete(got, restarts)

		h.equal(h.server(h.requests), got)

		// Without handlers there is nothing of turbocaches.
		alone := h.gather(passengerprometheus.Config{Observer: observer})
		require.Equal(h, sorted(got["passenger_app_requests_total"]), sorted(alone["passenger_app_requests_total"]))
		require.NotContains(h, alone, "passenger_app_cache_hits_total")
	})
}

func TestObserverCountsRequestsThatGoOnAndClientsThatLeave(t *testing.T) {
	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
	require.NoError(t, err)
	inHouse(t, observer, func(h *house) {
		h.factory.ChangeApp("slow", func(s *spawnertest.Script) { s.SpawnDelay = time.Minute })
		slow := h.handler(app("slow"))
		ctx, leave := context.WithCancel(h.Context())
		done := make(chan any, 1)
		go func() {
			defer func() { done <- recover() }()
			slow.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/",
				http.NoBody))
		}()
		synctest.Wait()
		during := h.gather(passengerprometheus.Config{Observer: observer})
		require.InDelta(h, 1, gauge(during["passenger_app_requests_active"]), 0)

		leave()
		require.Equal(h, http.ErrAbortHandler, <-done)
		got := h.gather(passengerprometheus.Config{Observer: observer})
		require.InDelta(h, 0, gauge(got["passenger_app_requests_active"]), 0)
		require.EqualValues(h, 1, histogram(h, got, "passenger_app_request_duration_seconds"))
		require.EqualValues(h, 0, histogram(h, got, "passenger_app_request_queue_seconds"), "it got no process")

		for _, m := range got["passenger_app_responses_total"].GetMetric() {
			require.Equal(h, m.GetLabel()[1].GetValue() == "none", m.GetCounter().GetValue() == 1, m)
		}
	})
}

func gauge(f *dto.MetricFamily) float64 { return f.GetMetric()[0].GetGauge().GetValue() }

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// histogram is the count of the sample with these labels.
func histogram(h *house, all families, name string, labels ...*dto.LabelPair) uint64 {
	h.Helper()
	require.Contains(h, all, name)

	for _, m := range all[name].GetMetric() {
		if !slices.ContainsFunc(labels, func(want *dto.LabelPair) bool {
			return !slices.ContainsFunc(m.GetLabel(),
				func(got *dto.LabelPair) bool { return got.String() == want.String() })
		}) {
			return m.GetHistogram().GetSampleCount()
		}
	}

	require.Fail(h, "no such sample", "%s with %v", name, labels)

	return 0
}

func TestTwoPoolsInOneRegistryHaveALabelEach(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"one", "two"} {
		c, err := passengerprometheus.New(passengerprometheus.Config{Pool: spawnertest.NewPool(t, passenger.Config{})})
		require.NoError(t, err)
		require.NoError(t, prometheus.WrapRegistererWith(prometheus.Labels{"pool": name}, registry).Register(c))
	}

	all, err := registry.Gather()
	require.NoError(t, err)

	for _, f := range all {
		require.Len(t, f.GetMetric(), 2, f.GetName())
	}
}

func TestConstructorsNameTheFaultOfTheirConfiguration(t *testing.T) {
	_, err := passengerprometheus.New(passengerprometheus.Config{})
	require.EqualError(t, err, "Config.Pool is nil: pass a pool of passenger.New")

	for want, cfg := range map[string]passengerprometheus.ObserverConfig{
		"RequestBuckets: the bound 1 follows 2: write them in increasing order": {RequestBuckets: []float64{2, 1}},
		"RequestBuckets: the bound 1 follows 1: write them in increasing order": {RequestBuckets: []float64{1, 1}},
		"RequestBuckets: the bound 0 is not positive: write seconds":            {RequestBuckets: []float64{0, 1}},
		"SpawnBuckets: the bound -1 is not positive: write seconds":             {SpawnBuckets: []float64{-1}},
		"SpawnBuckets: the bound NaN is not positive: write seconds":            {SpawnBuckets: []float64{math.NaN()}},
		"SpawnBuckets is empty: name one bound at least, or leave it nil":       {SpawnBuckets: []float64{}},
	} {
		_, err := passengerprometheus.NewObserver(cfg)
		require.EqualError(t, err, want)
	}
}
