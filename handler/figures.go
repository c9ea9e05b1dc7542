package handler

import (
	"sync/atomic"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/histogram"
)

// Figures are what the requests of a Handler were like since it was made. Requests in progress do not count, and those
// of Config.MetricsExclude only in the bytes.
type Figures struct {
	// AppName is the name of the application's group.
	AppName string
	// Durations are the times from the head of a request to the end of its response, but those of WebSockets and
	// streams of events, which say nothing about the application's speed. Queued are the times that requests waited for
	// the process they got.
	Durations, Queued passenger.Histogram
	// Responses counts the responses by the first digit of their status. At index zero are the clients that left
	// before they got one.
	Responses [statusClasses]uint64
	// RequestBytes and ResponseBytes are the sizes of the bodies; a WebSocket has none.
	RequestBytes, ResponseBytes uint64
}

const statusClasses = 10

// figures are counted by all requests at once.
type figures struct {
	durations, queued           *histogram.Histogram
	responses                   [statusClasses]atomic.Uint64
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

	f.responses[min(max(e.Status/100, 0), statusClasses-1)].Add(1)
}

// Figures returns the figures of the requests that have ended.
func (h *Handler) Figures() Figures {
	f := h.figures

	all := Figures{
		AppName:       h.appName(),
		Durations:     f.durations.Inspect(),
		Queued:        f.queued.Inspect(),
		RequestBytes:  f.requestBytes.Load(),
		ResponseBytes: f.responseBytes.Load(),
	}
	for class := range all.Responses {
		all.Responses[class] = f.responses[class].Load()
	}

	return all
}
