package handler

import (
	"sync"
	"sync/atomic"
	"time"
)

// RequestState is how far a request is. Its names are the original's.
type RequestState uint32

// The states, in their order.
const (
	StateAnalyzing RequestState = iota
	StateBuffering
	StateCheckingOut
	StateSendingHead
	StateForwardingBody
	StateWaiting
)

var stateNames = [...]string{
	"ANALYZING_REQUEST", "BUFFERING_REQUEST_BODY", "CHECKING_OUT_SESSION",
	"SENDING_HEADER_TO_APP", "FORWARDING_BODY_TO_APP", "WAITING_FOR_APP_OUTPUT",
}

func (s RequestState) String() string { return stateNames[s] }

// MarshalText returns the name.
func (s RequestState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// progress is what other goroutines see of an exchange, beside the head of its request.
type progress struct {
	state         atomic.Uint32
	pid           atomic.Int64
	appDone       atomic.Bool
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

// Snapshot is the state of a Handler at one moment.
type Snapshot struct {
	AppName string `json:"appName"`
	// RequestsBegun counts the requests since the Handler was made.
	RequestsBegun uint64 `json:"requestsBegun"`
	// Requests are those in progress, the latest first.
	Requests     []RequestSnapshot `json:"requests"`
	Turbocaching TurbocacheStats   `json:"turbocaching"`
}

// RequestSnapshot is a request in progress.
type RequestSnapshot struct {
	ID         string       `json:"id"`
	State      RequestState `json:"state"`
	Began      time.Time    `json:"startedAt"`
	Method     string       `json:"method"`
	Host       string       `json:"host"`
	Path       string       `json:"path"`
	Protocol   string       `json:"protocol"`
	RemoteAddr string       `json:"remoteAddr"`
	// PID is that of the process; zero means that the request has none yet.
	PID int `json:"pid"`
	// BodyBytes counts what the client has sent, ResponseBytes what was written to it.
	BodyBytes     int64 `json:"bodyBytes"`
	ResponseBytes int64 `json:"responseBytes"`
	// AppDone reports whether the process has given its whole response and is free again; the client does not have all
	// of it yet.
	AppDone bool `json:"appDone"`
}

// Inspect returns the state of the handler.
func (h *Handler) Inspect() Snapshot {
	h.inFlight.mu.Lock()
	defer h.inFlight.mu.Unlock()

	s := Snapshot{
		AppName:       h.appName(),
		RequestsBegun: h.inFlight.begun,
		Requests:      make([]RequestSnapshot, 0, h.inFlight.count),
		Turbocaching:  h.cache.Stats(),
	}
	for x := h.inFlight.first; x != nil; x = x.after {
		s.Requests = append(s.Requests, x.snapshot())
	}

	return s
}

func (x *exchange) snapshot() RequestSnapshot {
	r := x.req.http

	return RequestSnapshot{
		ID:            x.req.mark.id,
		State:         RequestState(x.state.Load()),
		Began:         x.event.Began,
		Method:        r.Method,
		Host:          r.Host,
		Path:          r.RequestURI,
		Protocol:      r.Proto,
		RemoteAddr:    r.RemoteAddr,
		PID:           int(x.pid.Load()),
		BodyBytes:     x.client.received.Load(),
		ResponseBytes: x.client.sent.Load(),
		AppDone:       x.appDone.Load(),
	}
}
