package passengercaddy

import (
	"sync"
	"time"
)

// flights are the requests in progress for an application, of all configurations.
type flights struct {
	mu    sync.Mutex
	n     int
	ended bool
	none  chan struct{} // closed when there is none and there will be none
}

// begin reports whether a request may begin.
func (f *flights) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}

	f.n++

	return true
}

func (f *flights) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.none != nil {
		close(f.none)
		f.none = nil
	}
}

// end waits, up to limit, until the requests have ended, and lets none begin after that.
func (f *flights) end(limit time.Duration) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()

	for {
		f.mu.Lock()
		if f.n == 0 {
			f.ended = true
			f.mu.Unlock()
			return
		}

		if f.none == nil {
			f.none = make(chan struct{})
		}

		none := f.none
		f.mu.Unlock()

		select {
		case <-none:
		case <-deadline.C:
			f.mu.Lock()
			f.ended = true
			f.mu.Unlock()

			return
		}
	}
}
