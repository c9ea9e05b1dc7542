package handler

import (
	"net/textproto"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
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

// flights are the requests that go on.
type flights struct {
	mu    sync.Mutex
	first *exchange
	begun uint64
	count int
}

func (f *flights) add(x *exchange) {
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

func (f *flights) remove(x *exchange) {
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

// Disconnect cuts the connection of the client whose request has this id, which
// [Handler.Inspect] shows, and reports whether there is one. The application sees
// it as if the client had gone. Of clients with one id, which only trusted proxies
// can cause, all are cut.
func (h *Handler) Disconnect(id string) (found bool) {
	h.flights.mu.Lock()
	defer h.flights.mu.Unlock()

	for x := h.flights.first; x != nil; x = x.after {
		if x.mark.id == id {
			found = true
			x.disconnect()
		}
	}

	return found
}

// enter says how far the request is.
func (x *exchange) enter(s RequestState) { x.state.Store(uint32(s)) }

func (x *exchange) since() time.Duration { return time.Since(x.event.Began) }

// Snapshot is the state of a Handler at one moment.
type Snapshot struct {
	AppName string `json:"appName"`
	// RequestsBegun counts the requests since the Handler was made.
	RequestsBegun uint64 `json:"requestsBegun"`
	// Requests are those that go on, the latest first.
	Requests     []RequestSnapshot `json:"requests"`
	Turbocaching TurbocacheStats   `json:"turbocaching"`
}

// RequestSnapshot is a request that goes on.
type RequestSnapshot struct {
	ID         string       `json:"id"`
	State      RequestState `json:"state"`
	Began      time.Time    `json:"startedAt"`
	Method     string       `json:"method"`
	Host       string       `json:"host"`
	Path       string       `json:"path"`
	Protocol   string       `json:"protocol"`
	RemoteAddr string       `json:"remoteAddr"`
	// PID is that of its process; 0: it has none yet.
	PID int `json:"pid"`
	// BodyBytes are those that the client has sent, ResponseBytes those that
	// were written to it.
	BodyBytes     int64 `json:"bodyBytes"`
	ResponseBytes int64 `json:"responseBytes"`
	// AppDone: the process has given its whole answer and is free again; the
	// client has not got it yet.
	AppDone bool `json:"appDone"`
}

// Inspect returns the state of the handler.
func (h *Handler) Inspect() Snapshot {
	h.flights.mu.Lock()
	defer h.flights.mu.Unlock()

	s := Snapshot{
		AppName:       h.appName(),
		RequestsBegun: h.flights.begun,
		Requests:      make([]RequestSnapshot, 0, h.flights.count),
		Turbocaching:  h.cache.Stats(),
	}
	for x := h.flights.first; x != nil; x = x.after {
		s.Requests = append(s.Requests, RequestSnapshot{
			ID:            x.mark.id,
			State:         RequestState(x.state.Load()),
			Began:         x.event.Began,
			Method:        x.r.Method,
			Host:          x.r.Host,
			Path:          x.r.RequestURI,
			Protocol:      x.r.Proto,
			RemoteAddr:    x.r.RemoteAddr,
			PID:           int(x.pid.Load()),
			BodyBytes:     x.received.Load(),
			ResponseBytes: x.sent.Load(),
			AppDone:       x.appDone.Load(),
		})
	}

	return s
}

// observed: somebody wants to know of the request.
func (x *exchange) observed() bool {
	return x.h.observer != nil || x.h.cfg.AccessLog.GetSink() != nil
}

// began tells that the request has come.
func (x *exchange) began() {
	e := &x.event
	e.ID, e.AppName = x.mark.id, x.h.appName()
	e.Method, e.Target, e.Host = x.r.Method, x.r.RequestURI, x.r.Host
	e.RemoteAddr, e.Protocol, e.Scheme = x.remote.addr, x.r.Proto, scheme(x.r, x.peer.trusted)
	if x.h.observer != nil {
		event := *e
		event.Header = textproto.MIMEHeader(x.r.Header)
		x.ctx = x.h.observer.RequestBegan(x.ctx, &event)
		x.appHeader = x.h.checkAppHeader(event.AppHeader)
	}
}

// ended tells how it went.
func (x *exchange) ended(err error) {
	if !x.observed() {
		return
	}

	e := x.event
	e.Err, e.Ended = err, x.since()
	e.RequestBytes, e.ResponseBytes = x.received.Load(), x.sent.Load()
	if x.h.observer != nil {
		x.h.observer.RequestEnded(x.ctx, &e)
	}

	logAccess(x.h.cfg.AccessLog, &e)
}

// logAccess writes a line of the access log. Times are in milliseconds.
func logAccess(log interface{ Info(string, ...any) }, e *passenger.RequestEvent) {
	values := []any{
		"id", e.ID, "app", e.AppName, "remote", e.RemoteAddr, "method", e.Method, "host", e.Host, "target", e.Target,
		"protocol", e.Protocol, "status", e.Status, "bytesIn", e.RequestBytes, "bytesOut", e.ResponseBytes,
		"pid", e.PID, "queueMs", milliseconds(e.Queued), "checkoutMs", milliseconds(e.CheckedOut),
		"firstByteMs", milliseconds(e.FirstByte), "appDoneMs", milliseconds(e.AppDone), "totalMs",
		milliseconds(e.Ended),
	}
	if e.Cached {
		values = append(values, "cached", true)
	}

	if e.Err != nil {
		values = append(values, "error", e.Err.Error())
	}

	log.Info("Request", values...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
