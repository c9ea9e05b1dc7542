package passengerprometheus

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// The metrics of package metrics that an Observer measures itself.
const (
	requestsName  = "passenger_app_requests_total"
	activeName    = "passenger_app_requests_active"
	responsesName = "passenger_app_responses_total"
	bytesName     = "passenger_app_body_bytes_total"
	durationName  = "passenger_app_request_duration_seconds"
	queuedName    = "passenger_app_request_queue_seconds"
	spawnName     = "passenger_app_spawn_duration_seconds"
)

func isObserved(name string) bool {
	switch name {
	case requestsName, activeName, responsesName, bytesName, durationName, queuedName, spawnName:
		return true
	}

	return false
}

// helpOf returns the text that package metrics has for a name.
func helpOf(name string) string {
	for _, f := range metrics.AppFamilies() {
		if f.Name == name {
			return f.Help
		}
	}

	return ""
}

// Default buckets of [ObserverConfig], in seconds.
var (
	defaultRequestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	defaultSpawnBuckets   = []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120, 300}
)

// ObserverConfig selects the buckets of an Observer. The zero value is usable.
type ObserverConfig struct {
	// RequestBuckets are the upper bounds, in seconds and increasing order, of the histograms of
	// requests, SpawnBuckets those of spawns and restarts. Nil means from 5 ms to a minute, and
	// from 100 ms to five minutes.
	RequestBuckets, SpawnBuckets []float64
	// NativeHistograms adds Prometheus's native histograms, whose buckets are within 10 %, for
	// scrapers that ask for them.
	NativeHistograms bool
}

// Observer measures what happens in a pool. It is the passenger.Config.Observer of the pool and the
// Observer of a Collector's [Config]. It is safe for concurrent use. Its labels are the names of
// applications and a few results.
type Observer struct {
	passenger.NoObserver

	requests, responses, bytes *prometheus.CounterVec
	active                     *prometheus.GaugeVec
	duration, queued           *prometheus.HistogramVec
	spawns, restarts           *prometheus.HistogramVec
	// known has the applications whose series of responses and bytes were made.
	known sync.Map
}

var _ passenger.Observer = (*Observer)(nil)

// NewObserver returns an Observer without any measurement. The error names the buckets that are not
// in increasing order.
func NewObserver(cfg ObserverConfig) (*Observer, error) {
	if err := checkBuckets("RequestBuckets", cfg.RequestBuckets); err != nil {
		return nil, err
	}

	if err := checkBuckets("SpawnBuckets", cfg.SpawnBuckets); err != nil {
		return nil, err
	}

	if cfg.RequestBuckets == nil {
		cfg.RequestBuckets = defaultRequestBuckets
	}

	if cfg.SpawnBuckets == nil {
		cfg.SpawnBuckets = defaultSpawnBuckets
	}

	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		opts := prometheus.HistogramOpts{Name: name, Help: help, Buckets: slices.Clone(buckets)}
		if cfg.NativeHistograms {
			opts.NativeHistogramBucketFactor = 1.1
		}

		return prometheus.NewHistogramVec(opts, append([]string{"app"}, labels...))
	}

	counter := func(name string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: helpOf(name)},
			append([]string{"app"}, labels...))
	}

	return &Observer{
		requests:  counter(requestsName),
		responses: counter(responsesName, "class"),
		bytes:     counter(bytesName, "direction"),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: activeName, Help: helpOf(activeName)},
			[]string{"app"}),
		duration: histogram(durationName, helpOf(durationName), cfg.RequestBuckets),
		queued:   histogram(queuedName, helpOf(queuedName), cfg.RequestBuckets),
		spawns:   histogram(spawnName, helpOf(spawnName), cfg.SpawnBuckets),
		restarts: histogram("passenger_app_restart_duration_seconds", "How long restarts took, by their outcome.",
			cfg.SpawnBuckets, "outcome"),
	}, nil
}

func checkBuckets(field string, buckets []float64) error {
	if buckets != nil && len(buckets) == 0 {
		return fmt.Errorf("%s is empty: name one bound at least, or leave it nil", field)
	}

	for i, bound := range buckets {
		if math.IsNaN(bound) || bound <= 0 {
			return fmt.Errorf("%s: the bound %v is not positive: write seconds", field, bound)
		}

		if i > 0 && bound <= buckets[i-1] {
			return fmt.Errorf("%s: the bound %v follows %v: write them in increasing order", field, bound, buckets[i-1])
		}
	}

	return nil
}

func (o *Observer) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		o.requests, o.responses, o.bytes, o.active, o.duration, o.queued, o.spawns, o.restarts,
	}
}

func (o *Observer) describe(descs chan<- *prometheus.Desc) {
	for _, c := range o.collectors() {
		c.Describe(descs)
	}
}

func (o *Observer) collect(metrics chan<- prometheus.Metric) {
	for _, c := range o.collectors() {
		c.Collect(metrics)
	}
}

// RequestBegan counts a request.
func (o *Observer) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	app := metrics.LabelOf(e.AppName)
	o.requests.WithLabelValues(app).Inc()
	o.active.WithLabelValues(app).Inc()

	if _, known := o.known.Load(app); !known {
		o.makeSeries(app)
	}

	return ctx
}

// makeSeries makes those of which a rate should begin with zero.
func (o *Observer) makeSeries(app string) {
	o.known.Store(app, true)
	o.duration.WithLabelValues(app)
	o.queued.WithLabelValues(app)

	for _, class := range metrics.FirstClasses() {
		o.responses.WithLabelValues(app, class)
	}

	for _, direction := range []string{"in", "out"} {
		o.bytes.WithLabelValues(app, direction)
	}
}

// RequestEnded measures the request.
func (o *Observer) RequestEnded(_ context.Context, e *passenger.RequestEvent) {
	app := metrics.LabelOf(e.AppName)
	o.active.WithLabelValues(app).Dec()
	o.bytes.WithLabelValues(app, "in").Add(float64(max(e.RequestBytes, 0)))
	o.bytes.WithLabelValues(app, "out").Add(float64(max(e.ResponseBytes, 0)))

	if e.Excluded {
		return
	}

	o.responses.WithLabelValues(app, metrics.ClassOf(e.Status)).Inc()

	// How long a WebSocket lasts says nothing about how fast the application responds.
	if !e.Stream {
		o.duration.WithLabelValues(app).Observe(e.Ended.Seconds())
	}

	if e.Processes > 0 {
		o.queued.WithLabelValues(app).Observe(e.Queued.Seconds())
	}
}

// SpawnEnded measures the spawn.
func (o *Observer) SpawnEnded(e *passenger.SpawnEvent) {
	o.spawns.WithLabelValues(metrics.LabelOf(e.AppName)).Observe(e.Took.Seconds())
}

// RestartEnded measures the restart.
func (o *Observer) RestartEnded(e *passenger.RestartEvent) {
	result := metrics.Success
	if e.Err != nil {
		result = metrics.Failure
	}

	o.restarts.WithLabelValues(metrics.LabelOf(e.AppName), result).Observe(e.Took.Seconds())
}
