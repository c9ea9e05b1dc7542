// Package passengerprometheus exposes a pool of package passenger to Prometheus, through
// client_golang. A [Collector] has the metrics of the server's /metrics, by the same names: those of
// package metrics, in which applications beyond the first 500 are summed. An [Observer] measures
// with buckets of its own, and durations of restarts:
//
//	observer, err := passengerprometheus.NewObserver(passengerprometheus.ObserverConfig{})
//	pool, err := passenger.New(passenger.Config{Observer: observer})
//	collector, err := passengerprometheus.New(passengerprometheus.Config{Pool: pool, Observer: observer})
//	prometheus.MustRegister(collector)
package passengerprometheus

import (
	"errors"
	"runtime"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/metrics"
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
type Collector struct {
	cfg  Config
	apps metrics.Apps
	// pool and ofApps are the metrics that it sends itself; an Observer sends others.
	pool   []poolMetric
	ofApps []appMetric
}

type poolMetric struct {
	desc  *prometheus.Desc
	value func(s *passenger.Snapshot) float64
}

type appMetric struct {
	*metrics.AppFamily

	desc *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector for a [prometheus.Registerer]. To register several pools, give each a
// label by [prometheus.WrapRegistererWith].
func New(cfg Config) (*Collector, error) {
	if cfg.Pool == nil {
		return nil, errors.New("Config.Pool is nil: pass a pool of passenger.New")
	}

	c := &Collector{cfg: cfg}
	for _, f := range metrics.PoolFamilies() {
		c.pool = append(c.pool, poolMetric{prometheus.NewDesc(f.Name, f.Help, nil, nil), f.Value})
	}

	families := metrics.AppFamilies()
	for i := range families {
		f := &families[i]

		// An Observer's buckets may be others, so that it takes the place of what has the same names.
		if f.OfRequests && cfg.Handlers == nil || cfg.Observer != nil && isObserved(f.Name) {
			continue
		}

		labels := []string{"app"}
		if f.Label != "" {
			labels = append(labels, f.Label)
		}

		c.ofApps = append(c.ofApps, appMetric{f, prometheus.NewDesc(f.Name, f.Help, labels, nil)})
	}

	return c, nil
}

// HandlersOf returns a function for Config.Handlers that always returns handlers.
func HandlersOf(handlers ...*handler.Handler) func() []*handler.Handler {
	return func() []*handler.Handler { return handlers }
}

// goVersion is a label of the metric that buildInfoDesc describes.
var goVersion = runtime.Version()

var buildInfoDesc = prometheus.NewDesc("passenger_build_info",
	"Version of the server, and of the Go it was built with; always 1.", []string{"version", "goversion"}, nil)

// Describe sends the descriptions of all metrics that Collect may send.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- buildInfoDesc

	for i := range c.pool {
		descs <- c.pool[i].desc
	}

	for i := range c.ofApps {
		descs <- c.ofApps[i].desc
	}

	if c.cfg.Observer != nil {
		c.cfg.Observer.describe(descs)
	}
}

// Collect sends the metrics of one moment.
func (c *Collector) Collect(sent chan<- prometheus.Metric) {
	var requests []metrics.Requests
	if c.cfg.Handlers != nil {
		for _, h := range c.cfg.Handlers() {
			requests = append(requests, h.Figures())
		}
	}

	if c.cfg.Observer != nil {
		c.cfg.Observer.collect(sent)
	}

	s := c.cfg.Pool.Inspect()
	sent <- prometheus.MustNewConstMetric(buildInfoDesc, prometheus.GaugeValue, 1, s.Version, goVersion)

	for _, m := range c.pool {
		sent <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value(&s))
	}

	for _, app := range c.apps.Sum(&s, requests) {
		for i := range c.ofApps {
			c.ofApps[i].collect(sent, app)
		}
	}
}

func (m *appMetric) collect(sent chan<- prometheus.Metric, app *metrics.App) {
	kind := prometheus.GaugeValue
	if m.Kind == metrics.Counter {
		kind = prometheus.CounterValue
	}

	m.Samples(app, func(label string, value float64) {
		labels := []string{app.Name, label}
		if m.Label == "" {
			labels = labels[:1]
		}

		sent <- prometheus.MustNewConstMetric(m.desc, kind, value, labels...)
	})

	h := m.Histogram(app)
	if h == nil {
		return
	}

	buckets := make(map[float64]uint64, len(h.Bounds))
	below := uint64(0)

	for i, bound := range h.Bounds {
		below += h.Counts[i]
		buckets[bound] = below
	}

	sent <- prometheus.MustNewConstHistogram(m.desc, h.Count, h.Sum.Seconds(), buckets, app.Name)
}
