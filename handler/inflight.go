package handler

import (
	"sync"
	"sync/atomic"
)

// progress is what other goroutines see of an exchange, beside the head of its request.
type progress struct {
	state   atomic.Uint32
	pid     atomic.Int64
	appDone atomic.Bool
	// queued and checkedOut are durations; see passenger.RequestEvent.
	queued, checkedOut atomic.Int64

	before, after *exchange // in Handler.inFlight
}

// setState says how far the request is.
func (p *progress) setState(s RequestState) { p.state.Store(uint32(s)) }

// inFlight is the list of the requests in progress.
type inFlight struct {
	mu    sync.Mutex
	first *exchange
	begun uint64
	count int
	// failed are the last requests that got no response, if incidents are recorded, the oldest first.
	failed []RequestSnapshot
	// abandoned are the requests whose client has left, but which their process works on.
	abandoned map[*RequestSnapshot]struct{}
}

func (f *inFlight) add(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.begun++
	f.count++
	x.after = f.first
	if f.first != nil {
		f.first.before = x
	}

	f.first = x
}

func (f *inFlight) remove(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.count--
	if x.before != nil {
		x.before.after = x.after
	} else {
		f.first = x.after
	}

	if x.after != nil {
		x.after.before = x.before
	}
}

// abandon leaves the request on the list when its exchange is over, until the function is called. One that the
// process gave no response to is then among those that failed: an incident may be about it.
func (f *inFlight) abandon(x *exchange) (over func(unanswered bool)) {
	s := x.snapshot()
	s.AppDone, s.ClientGone = false, true

	f.mu.Lock()
	defer f.mu.Unlock()

	if f.abandoned == nil {
		f.abandoned = map[*RequestSnapshot]struct{}{}
	}

	f.abandoned[&s] = struct{}{}

	remember := x.h.pool.Incidents() != nil

	return func(unanswered bool) {
		f.mu.Lock()
		defer f.mu.Unlock()

		delete(f.abandoned, &s)
		if remember && unanswered {
			f.failLocked(s, errClientGone)
		}
	}
}

// numbers returns how many requests have begun, and how many are in progress.
func (f *inFlight) numbers() (begun uint64, active int) {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.begun, f.count
}

// Disconnect cuts the connection of the client whose request has this id, which [Handler.Inspect] shows, and reports
// whether there is one. To the application it looks as if the client had gone. Of several clients with one id, which
// only trusted proxies can cause, all are cut.
func (h *Handler) Disconnect(id string) (found bool) {
	h.inFlight.mu.Lock()
	defer h.inFlight.mu.Unlock()

	for x := h.inFlight.first; x != nil; x = x.after {
		if x.req.mark.id == id {
			found = true
			x.client.disconnect()
			h.streams.end(x)
		}
	}

	return found
}
