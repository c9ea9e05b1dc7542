package ustrouter

import "strconv"

// These are the messages of OTLP in their JSON encoding, as far as they are
// used: ids are hex digits, 64-bit integers are strings, enumerations numbers.

type exportRequest struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   resource     `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type resource struct {
	Attributes []attribute `json:"attributes"`
}

type scopeSpans struct {
	Scope scope  `json:"scope"`
	Spans []span `json:"spans"`
}

type scope struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type span struct {
	TraceID      string      `json:"traceId"`
	SpanID       string      `json:"spanId"`
	ParentSpanID string      `json:"parentSpanId,omitempty"`
	Flags        int         `json:"flags,omitempty"`
	Name         string      `json:"name"`
	Kind         int         `json:"kind"`
	Start        nanoseconds `json:"startTimeUnixNano"`
	End          nanoseconds `json:"endTimeUnixNano"`
	Attributes   attributes  `json:"attributes,omitempty"`
	Events       []spanEvent `json:"events,omitempty"`
	Links        []spanLink  `json:"links,omitempty"`
	Status       *spanStatus `json:"status,omitempty"`
}

// The kinds of spans, and the code of a status, that are used.
const (
	kindInternal = 1
	kindServer   = 2
	statusError  = 2
)

type spanEvent struct {
	Time nanoseconds `json:"timeUnixNano"`
	Name string      `json:"name"`
}

type spanLink struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

// remoteParent are the flags of a span whose parent is another program's.
const remoteParent = 0x300

type spanStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message,omitempty"`
}

// nanoseconds are a time, since 1970.
type nanoseconds int64

func (n nanoseconds) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(n), 10), nil }

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

// value has one of its fields.
type value struct {
	String *string  `json:"stringValue,omitempty"`
	Int    *string  `json:"intValue,omitempty"`
	Double *float64 `json:"doubleValue,omitempty"`
	Bool   *bool    `json:"boolValue,omitempty"`
}

// attributes leave out what is zero.
type attributes []attribute

func (a *attributes) text(key, v string) {
	if v != "" {
		*a = append(*a, attribute{key, value{String: &v}})
	}
}

func (a *attributes) number(key string, v int64) {
	if v != 0 {
		s := strconv.FormatInt(v, 10)
		*a = append(*a, attribute{key, value{Int: &s}})
	}
}

func (a *attributes) double(key string, v float64) {
	if v != 0 {
		*a = append(*a, attribute{key, value{Double: &v}})
	}
}

func (a *attributes) flag(key string, v bool) {
	if v {
		*a = append(*a, attribute{key, value{Bool: &v}})
	}
}
