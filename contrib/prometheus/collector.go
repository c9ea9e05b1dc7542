// Package passengerprometheus shows a pool of package passenger to Prometheus, through
// client_golang: a [Collector] has the figures of the server's /metrics, by the same names,
// and an [Observer] adds how long requests, spawns and restarts take.
package passengerprometheus

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// Config says what a Collector shows.
type Config struct {
	// Pool is the one that is shown. It is needed.
	Pool *passenger.Pool
	// Handlers returns the handlers of the pool, whose requests and turbocaches are
	// counted, at each collection. Without it, the figures of turbocaches are left out.
	Handlers func() []*handler.Handler
	// Observer, if it is that of the pool, counts the requests in the place of the
	// Handlers, those of handlers included that are gone, and how long things take.
	Observer *Observer
}

// Collector shows a pool. It is safe for concurrent use, and asks the pool at each
// collection.
type Collector struct{ cfg Config }

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector, to be registered with a [prometheus.Registerer]. Of several
// pools, each has a label of its own there, by [prometheus.WrapRegistererWith].
func New(cfg Config) (*Collector, error) {
	if cfg.Pool == nil {
		return nil, errors.New("Config.Pool is nil: pass a pool of passenger.New")
	}

	return &Collector{cfg: cfg}, nil
}

// HandlersOf is for a Config whose handlers are always the same.
func HandlersOf(handlers ...*handler.Handler) func() []*handler.Handler {
	return func() []*handler.Handler { return handlers }
}

// Describe sends what Collect may send.
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

// Collect sends the figures of one moment.
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
