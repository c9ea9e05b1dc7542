package passengerprometheus

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/prometheus/client_golang/prometheus"
)

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
}

// Observer measures what happens in a pool. It is the passenger.Config.Observer of the pool and the
// Observer of a Collector's [Config]. It is safe for concurrent use. Its labels are the names of
// applications and a few results.
type Observer struct {
	passenger.NoObserver

	requests         *prometheus.CounterVec
	active           *prometheus.GaugeVec
	duration, queued *prometheus.HistogramVec
	spawns, restarts *prometheus.HistogramVec
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
		return prometheus.NewHistogramVec(opts, append([]string{"app"}, labels...))
	}

	return &Observer{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: requestsName,
			Help: requestsHelp,
		}, []string{"app"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: activeName, Help: activeHelp}, []string{"app"}),
		duration: histogram("passenger_app_request_duration_seconds",
			"How long requests took, by the class of their status; none: the client had gone before.",
			cfg.RequestBuckets, "status"),
		queued: histogram("passenger_app_request_queue_seconds", "How long requests waited for a process that got one.",
			cfg.RequestBuckets),
		spawns: histogram("passenger_app_spawn_duration_seconds", "How long starts of processes took, by their result.",
			cfg.SpawnBuckets, "result"),
		restarts: histogram("passenger_app_restart_duration_seconds", "How long restarts took, by their result.",
			cfg.SpawnBuckets, "result"),
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
	return []prometheus.Collector{o.requests, o.active, o.duration, o.queued, o.spawns, o.restarts}
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
	app := label(e.AppName)
	o.requests.WithLabelValues(app).Inc()
	o.active.WithLabelValues(app).Inc()

	return ctx
}

// RequestEnded measures the request.
func (o *Observer) RequestEnded(_ context.Context, e *passenger.RequestEvent) {
	app := label(e.AppName)
	o.active.WithLabelValues(app).Dec()
	o.duration.WithLabelValues(app, statusClass(e.Status)).Observe(e.Ended.Seconds())
	if e.Processes > 0 {
		o.queued.WithLabelValues(app).Observe(e.Queued.Seconds())
	}
}

// SpawnEnded measures the spawn.
func (o *Observer) SpawnEnded(e *passenger.SpawnEvent) { observe(o.spawns, e.AppName, e.Took, e.Err) }

// RestartEnded measures the restart.
func (o *Observer) RestartEnded(e *passenger.RestartEvent) {
	observe(o.restarts, e.AppName, e.Took, e.Err)
}

func observe(h *prometheus.HistogramVec, app string, took time.Duration, err error) {
	result := "success"
	if err != nil {
		result = "failure"
	}

	h.WithLabelValues(label(app), result).Observe(took.Seconds())
}

// statusClass returns 2xx and so on. Programs use few statuses, but clients choose which, so a
// label for each would let them make time series.
func statusClass(status int) string {
	if status == 0 {
		return "none"
	}

	return strconv.Itoa(status/100) + "xx"
}
