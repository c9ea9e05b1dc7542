package handler

import (
	"testing"
	"time"

	"github.com/gopassenger/passenger"
)

// BenchmarkFigures is what the figures cost a request.
func BenchmarkFigures(b *testing.B) {
	f := newFigures()
	e := &passenger.RequestEvent{
		Status:        200,
		RequestBytes:  10,
		ResponseBytes: 5000,
		Processes:     1,
		Queued:        3 * time.Microsecond,
		Ended:         7 * time.Millisecond,
	}

	for b.Loop() {
		f.count(e)
	}
}
