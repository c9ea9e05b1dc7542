package handler

import (
	"sync/atomic"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/metrics"
)

// figures are counted by all requests at once.
type figures struct {
	durations, queued           *histogram.Histogram
	responses                   [metrics.StatusClasses]atomic.Uint64
	requestBytes, responseBytes atomic.Uint64
}

func newFigures() *figures {
	return &figures{
		durations: histogram.New(histogram.ForRequests),
		queued:    histogram.New(histogram.ForRequests),
	}
}

// count counts a request that has ended.
func (f *figures) count(e *passenger.RequestEvent) {
	f.requestBytes.Add(uint64(max(e.RequestBytes, 0)))
	f.responseBytes.Add(uint64(max(e.ResponseBytes, 0)))

	if e.Excluded {
		return
	}

	if !e.Stream {
		f.durations.Observe(e.Ended)
	}

	if e.Processes > 0 {
		f.queued.Observe(e.Queued)
	}

	f.responses[min(max(e.Status/100, 0), metrics.StatusClasses-1)].Add(1)
}

// Figures returns what the requests of the Handler were like since it was made.
func (h *Handler) Figures() metrics.Requests {
	f := h.figures
	cache := h.cache.Stats()

	all := metrics.Requests{
		AppName:       h.appName(),
		CacheFetches:  cache.Fetches,
		CacheHits:     cache.Hits,
		Durations:     f.durations.Inspect(),
		Queued:        f.queued.Inspect(),
		RequestBytes:  f.requestBytes.Load(),
		ResponseBytes: f.responseBytes.Load(),
	}
	all.Begun, all.Active = h.inFlight.numbers()

	for class := range all.Responses {
		all.Responses[class] = f.responses[class].Load()
	}

	return all
}
