package ustrouter

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
)

// spanner makes spans of transactions, by OpenTelemetry's semantic conventions
// for HTTP where they say something, and attributes of our own otherwise.
type spanner struct {
	resource resource
	random   func(id []byte)
}

func newSpanner(c *Config) spanner {
	known := map[string]string{
		"service.name":           DefaultServiceName,
		"service.version":        passenger.Version,
		"telemetry.sdk.language": "go",
		"telemetry.sdk.name":     "passenger",
		"telemetry.sdk.version":  passenger.Version,
	}
	if host, err := os.Hostname(); err == nil {
		known["host.name"] = host
	}

	// The operator knows better.
	maps.Copy(known, c.ResourceAttributes)
	if c.ServiceName != "" {
		known["service.name"] = c.ServiceName
	}

	var a attributes
	for _, key := range slices.Sorted(maps.Keys(known)) {
		a.text(key, known[key])
	}

	return spanner{resource: resource{Attributes: a}, random: randomID}
}

// randomID fills an id, of a multiple of eight bytes, that is not zero.
func randomID(id []byte) {
	for ; len(id) > 0; id = id[8:] {
		//nolint:gosec // G404: it tells spans apart and is no secret
		binary.NativeEndian.PutUint64(id,
			rand.Uint64N(math.MaxUint64)+
				1)
	}
}

func (s *spanner) id(size int) string {
	b := make([]byte, size)
	s.random(b)
	return hex.EncodeToString(b)
}

func (s *spanner) request(batch []*Transaction) exportRequest {
	spans := make([]span, len(batch))
	for i, t := range batch {
		spans[i] = s.span(t)
	}

	return exportRequest{[]resourceSpans{{
		Resource: s.resource,
		ScopeSpans: []scopeSpans{{
			Scope: scope{Name: "github.com/gopassenger/passenger/internal/ustrouter", Version: passenger.Version},
			Spans: spans,
		}},
	}}}
}

func (s *spanner) span(t *Transaction) span {
	t.cut()
	out := span{
		Kind:  kindInternal,
		Name:  "passenger " + string(t.Kind),
		Start: nanoseconds(t.Time.UnixNano()),
		End:   nanoseconds(t.Time.Add(t.Total).UnixNano()),
	}
	out.place(s, t)

	a := &out.Attributes
	a.text("passenger.app.name", t.App)
	a.text("passenger.app.root", t.Root)
	a.number("passenger.process.pid", int64(t.PID))
	a.text("passenger.process.gupid", t.GUPID)
	a.number("passenger.generation", int64(t.Generation))

	switch t.Kind {
	case KindRequest:
		requestSpan(&out, t)
	case KindSpawn, KindRestart:
		a.flag("passenger.restart.blocking", t.Blocking)
		a.text("passenger.spawn_error.id", t.ID)
		if t.Error != "" {
			a.text("error.type", cmp.Or(t.Category, "_OTHER"))
			out.Status = &spanStatus{statusError, t.Error}
		}
	case KindAttach, KindDetach:
		a.number("passenger.process.requests", clamp(t.Processed))
		a.flag("passenger.process.exited", t.Exited)
	case KindDropped:
		a.number("passenger.dropped", clamp(t.Dropped))
	}

	return out
}

// place sets where the span belongs: that of a request has its IDs already, since the application knows them.
func (out *span) place(s *spanner, t *Transaction) {
	own, ok := parseTraceparent(t.Traceparent)
	if !ok {
		out.TraceID, out.SpanID = s.id(16), s.id(8)
		return
	}

	out.TraceID, out.SpanID, out.Flags = own.traceID, own.parentID, int(own.flags)
	if t.ParentSpan != "" {
		out.ParentSpanID = t.ParentSpan
		out.Flags |= remoteParent
	}

	if link, ok := parseTraceparent(t.Link); ok {
		out.Links = []spanLink{{link.traceID, link.parentID}}
	}
}

// The methods that the conventions know.
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}

func requestSpan(out *span, t *Transaction) {
	out.Kind = kindServer
	a := &out.Attributes
	if slices.Contains(methods, t.Method) {
		out.Name = t.Method
		a.text("http.request.method", t.Method)
	} else {
		out.Name = "HTTP"
		a.text("http.request.method", "_OTHER")
		a.text("http.request.method_original", t.Method)
	}

	host, port := splitHost(t.Host)
	a.text("server.address", host)
	a.number("server.port", port)
	a.text("client.address", t.Client)
	a.text("user_agent.original", t.UserAgent)
	a.text("url.scheme", t.Scheme)
	a.text("url.path", t.Path)
	a.text("url.query", t.Query)
	if version, ok := strings.CutPrefix(t.Protocol, "HTTP/"); ok {
		a.text("network.protocol.version", protocolVersionOf(version))
	}

	a.number("http.response.status_code", int64(t.Status))
	a.number("http.request.body.size", t.RequestBytes)
	a.number("http.response.body.size", t.ResponseBytes)
	a.text("passenger.request.id", t.ID)
	a.flag("passenger.request.cached", t.Cached)
	a.double("passenger.request.queue.duration", t.Queued.Seconds())

	for _, e := range []struct {
		name  string
		after time.Duration
	}{{"passenger.checkout", t.Checkout}, {"passenger.first_byte", t.FirstByte}} {
		// Zero means that the request did not come that far.
		if e.after > 0 {
			out.Events = append(out.Events, spanEvent{nanoseconds(t.Time.Add(e.after).UnixNano()), e.name})
		}
	}

	out.conclude(t)
}

// conclude sets what became of the request.
func (out *span) conclude(t *Transaction) {
	a := &out.Attributes
	switch {
	// What the client did wrong (4xx) is no error of a server. (Source: the semantic conventions, status of spans.)
	case t.Status >= 500:
		a.text("error.type", strconv.Itoa(t.Status))
		out.Status = &spanStatus{statusError, t.Error}
	case t.Error == "":
	case t.Status >= 400:
		a.text("error.type", strconv.Itoa(t.Status))
	// There was no response: the client has not waited for it.
	case t.Status == 0:
		a.text("error.type", "client_gone")
	default:
		a.text("error.type", "_OTHER")
		out.Status = &spanStatus{statusError, t.Error}
	}
}

// protocolVersionOf leaves out the minor version where there is only one.
func protocolVersionOf(version string) string {
	if version == "1.0" {
		return version
	}

	return strings.TrimSuffix(version, ".0")
}

// splitHost returns a port of 0 where there is none.
func splitHost(s string) (host string, port int64) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return strings.Trim(s, "[]"), 0
	}

	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return host, 0
	}

	return host, int64(n)
}

func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
