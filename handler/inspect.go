package handler

import (
	"slices"
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

// Snapshot is the state of a Handler at one moment.
type Snapshot struct {
	AppName string `json:"appName"`
	// RequestsBegun counts the requests since the Handler was made.
	RequestsBegun uint64 `json:"requestsBegun"`
	// Requests are those in progress, the latest first, and then those whose client has left.
	Requests []RequestSnapshot `json:"requests"`
	// Failed are the last requests that the application has given no response to, or not in time, the oldest first.
	// They are remembered if the pool has a recorder of incidents.
	Failed       []RequestSnapshot `json:"failed,omitempty"`
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
	// ClientGone reports whether no client waits for the response any more. The process works on the request, and has
	// no room for another one meanwhile: see passenger.Session.Abandon.
	ClientGone bool `json:"clientGone,omitzero"`
	// Queued is the time that it waited for a process, and CheckedOut the time from its beginning until it had one;
	// zero means that it has none yet.
	Queued     time.Duration `json:"queuedNs"`
	CheckedOut time.Duration `json:"checkedOutNs"`
	// Failed is when the request failed, and Error why; zero means that it is in progress.
	Failed time.Time `json:"failedAt,omitzero"`
	Error  string    `json:"error,omitempty"`
}

// Inspect returns the state of the handler.
func (h *Handler) Inspect() Snapshot {
	h.inFlight.mu.Lock()
	defer h.inFlight.mu.Unlock()

	s := Snapshot{
		AppName:       h.appName(),
		RequestsBegun: h.inFlight.begun,
		Requests:      make([]RequestSnapshot, 0, h.inFlight.count),
		Failed:        slices.Clone(h.inFlight.failed),
		Turbocaching:  h.cache.Stats(),
	}
	for x := h.inFlight.first; x != nil; x = x.after {
		s.Requests = append(s.Requests, x.snapshot())
	}

	for abandoned := range h.inFlight.abandoned {
		s.Requests = append(s.Requests, *abandoned)
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
		Queued:        time.Duration(x.queued.Load()),
		CheckedOut:    time.Duration(x.checkedOut.Load()),
	}
}
