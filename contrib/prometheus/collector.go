// Package passengerprometheus exposes a pool of package passenger to Prometheus, through
// client_golang. A [Collector] has the metrics of the server's /metrics, by the same names. An
// [Observer] adds the durations of requests, spawns and restarts:
//
//	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
//	pool, err := passenger.New(passenger.Config{Observer: observer})
//	collector, err := passengerprometheus.New(passengerprometheus.Config{Pool: pool, Observer: observer})
//	prometheus.MustRegister(collector)
package passengerprometheus

import (
	"errors"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a Collector.
type Config struct {
	// Pool is the pool to expose. It is required.
	Pool *passenger.Pool
	// Handlers returns the handlers of the pool at each collection. Their requests and turbocaches
	// are counted. Nil leaves out the metrics of turbocaches.
	Handlers func() []*handler.Handler
	// Observer, if it is also that of the pool, adds durations, and counts the requests instead of
	// Handlers, including those of handlers that are gone.
	Observer *Observer
}

// Collector exposes a pool, which it inspects at each collection. It is safe for concurrent use.
type Collector struct{ cfg Config }

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector for a [prometheus.Registerer]. To register several pools, give each a
// label by [prometheus.WrapRegistererWith].
func New(cfg Config) (*Collector, error) {
	if cfg.Pool == nil {
		return nil, errors.New("Config.Pool is nil: pass a pool of passenger.New")
	}

	return &Collector{cfg: cfg}, nil
}

// HandlersOf returns a function for Config.Handlers that always returns handlers.
func HandlersOf(handlers ...*handler.Handler) func() []*handler.Handler {
	return func() []*handler.Handler { return handlers }
}

// Describe sends the descriptions of all metrics that Collect may send.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- buildInfoDesc
	describe(descs, poolFamilies)
	descs <- processesDesc
	describe(descs, appFamilies)
	if c.cfg.Handlers != nil {
		describe(descs, cacheFamilies)
	}

	switch {
	case c.cfg.Observer != nil:
		c.cfg.Observer.describe(descs)
	case c.cfg.Handlers != nil:
		describe(descs, requestFamilies)
	}
}

// Collect sends the metrics of one moment.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	var requests map[string]*requestFigures
	if c.cfg.Handlers != nil {
		requests = requestsOf(c.cfg.Handlers())
	}

	for name, r := range requests {
		collect(metrics, cacheFamilies, r, name)
		if c.cfg.Observer == nil {
			collect(metrics, requestFamilies, r, name)
		}
	}

	if c.cfg.Observer != nil {
		c.cfg.Observer.collect(metrics)
	}

	s := c.cfg.Pool.Inspect()
	metrics <- prometheus.MustNewConstMetric(buildInfoDesc, prometheus.GaugeValue, 1, s.Version)
	collect(metrics, poolFamilies, &s)

	for name, a := range figuresOf(&s, requests) {
		for _, state := range processStates {
			metrics <- prometheus.MustNewConstMetric(
				processesDesc, prometheus.GaugeValue, float64(a.byState[state]), name, state)
		}

		collect(metrics, appFamilies, a, name)
	}
}

func describe[T any](descs chan<- *prometheus.Desc, families []family[T]) {
	for _, f := range families {
		descs <- f.desc
	}
}

func collect[T any](metrics chan<- prometheus.Metric, families []family[T], of T, labels ...string) {
	for _, f := range families {
		metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(of), labels...)
	}
}
