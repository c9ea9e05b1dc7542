// Package passengerprometheus exposes a pool of package passenger to Prometheus, through
// client_golang. A [Collector] has the metrics of the server's /metrics, by the same names. An
// [Observer] measures with buckets of its own, and durations of restarts:
//
//	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
//	pool, err := passenger.New(passenger.Config{Observer: observer})
//	collector, err := passengerprometheus.New(passengerprometheus.Config{Pool: pool, Observer: observer})
//	prometheus.MustRegister(collector)
package passengerprometheus

import (
	"errors"
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a Collector.
type Config struct {
	// Pool is the pool to expose. It is required.
	Pool *passenger.Pool
	// Handlers returns the handlers of the pool at each collection. Their requests and turbocaches
	// are counted. Nil leaves out the metrics of turbocaches, and those of requests if there is no
	// Observer.
	Handlers func() []*handler.Handler
	// Observer, if it is also that of the pool, measures requests and spawns instead of Handlers
	// and the pool, including those of handlers and applications that are gone, and restarts.
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
	describe(descs, appFamilies)
	if c.cfg.Handlers != nil {
		describe(descs, cacheFamilies)
	}

	// Its buckets may be others, so that it takes the place of what has the same names.
	if c.cfg.Observer != nil {
		c.cfg.Observer.describe(descs)
		return
	}

	descs <- spawnTimes.desc
	if c.cfg.Handlers != nil {
		describe(descs, requestFamilies)
		descs <- durations.desc
		descs <- queueTimes.desc
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
			durations.collect(metrics, r, name)
			queueTimes.collect(metrics, r, name)
		}
	}

	if c.cfg.Observer != nil {
		c.cfg.Observer.collect(metrics)
	}

	s := c.cfg.Pool.Inspect()
	metrics <- prometheus.MustNewConstMetric(buildInfoDesc, prometheus.GaugeValue, 1, s.Version, goVersion)
	collect(metrics, poolFamilies, &s)

	for name, a := range figuresOf(&s, requests) {
		collect(metrics, appFamilies, a, name)
		if c.cfg.Observer == nil {
			spawnTimes.collect(metrics, a, name)
		}
	}
}

func describe[T any](descs chan<- *prometheus.Desc, families []family[T]) {
	for _, f := range families {
		descs <- f.desc
	}
}

func collect[T any](metrics chan<- prometheus.Metric, families []family[T], of T, labels ...string) {
	for _, f := range families {
		f.samples(of, func(value float64, label ...string) {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, value, slices.Concat(labels, label)...)
		})
	}
}
