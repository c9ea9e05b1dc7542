// Package metrics has the figures of a pool and its applications that monitoring systems scrape, by the names that the
// server's /metrics has for them. It writes no format: package apiserver does, and so does the collector for
// client_golang.
//
//	var apps metrics.Apps
//	s := pool.Inspect()
//	for _, a := range apps.Sum(&s, requests) {
//		for _, f := range metrics.AppFamilies() {
//			f.Samples(a, func(label string, value float64) { ... })
//		}
//	}
package metrics

import "github.com/gopassenger/passenger"

// Kind is a type of metrics, as Prometheus names it.
type Kind string

// The kinds.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Requests are what the requests of an application were like since its handler was made.
type Requests struct {
	// AppName is the name of the application's group.
	AppName string
	// Begun counts the requests, Active those in progress.
	Begun  uint64
	Active int
	// CacheFetches counts the lookups in the turbocache, CacheHits the responses from it.
	CacheFetches, CacheHits uint64

	// The following are about requests that have ended; those of handler.Config.MetricsExclude count only in the bytes.
	//
	// Durations are the times from the head of a request to the end of its response, but those of WebSockets and
	// streams of events, which say nothing about the application's speed. Queued are the times that requests waited for
	// the process they got.
	Durations, Queued passenger.Histogram
	// Responses counts the responses by the first digit of their status. At index zero are the clients that left
	// before they got one.
	Responses [StatusClasses]uint64
	// RequestBytes and ResponseBytes are the sizes of the bodies; a WebSocket has none.
	RequestBytes, ResponseBytes uint64
}

// StatusClasses is the number of first digits that a status has.
const StatusClasses = 10

// PoolFamily is a metric of the pool. All are gauges.
type PoolFamily struct {
	Name, Help string
	Value      func(s *passenger.Snapshot) float64
}

// AppFamily is a metric of applications, with samples for each. Its first label is app.
type AppFamily struct {
	Name, Help string
	Kind       Kind
	// Label is the name of the second label; empty means that there is none.
	Label string
	// OfRequests reports whether it has samples only of applications whose Requests are known.
	OfRequests bool

	samples   func(a *App, set func(label string, value float64))
	histogram func(a *App) *passenger.Histogram
}

// Samples calls set with each sample of an application, and the value of its second label. Histograms have none.
func (f *AppFamily) Samples(a *App, set func(label string, value float64)) {
	if f.samples != nil && (a.hasRequests || !f.OfRequests) {
		f.samples(a, set)
	}
}

// Histogram returns the sample of a histogram; nil means that there was nothing to measure, or that it is of another
// kind.
func (f *AppFamily) Histogram(a *App) *passenger.Histogram {
	if f.histogram == nil {
		return nil
	}

	if h := f.histogram(a); len(h.Counts) > 0 {
		return h
	}

	return nil
}
