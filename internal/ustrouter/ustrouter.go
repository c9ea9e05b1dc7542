// Package ustrouter sends what happens in a pool to those who watch it: each
// request, spawn and restart, and each process that came or went, becomes a
// transaction in a file of JSON lines, or a span at an OpenTelemetry collector.
//
// An [Observer] in the program with the pool sends [Transaction]s over a Unix
// socket to a [Router], which is a process of its own and hands them to a
// [Sink]. Nothing in this chain waits for what comes after it: where something is
// too slow, full or gone, transactions are dropped, counted, and the count told.
// A request never notices.
//
// The zero [Config] is off; then nothing of this package need run.
//
// # The wire
//
// Both sides send JSON, an object a line, and make sure that the other is root
// or their own user. The router says first that it is one, and the version; the
// observer sends the same back. Then each line of the observer is a
// transaction, and each of the router the count of those it has taken.
package ustrouter

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Kind is what a transaction is about.
type Kind string

// The kinds.
const (
	// KindRequest is a request that has ended.
	KindRequest Kind = "request"
	// KindSpawn is an attempt to start a process, that has ended.
	KindSpawn Kind = "spawn"
	// KindAttach and KindDetach are a process that came to its application or
	// left it.
	KindAttach Kind = "attach"
	KindDetach Kind = "detach"
	// KindRestart is a restart of an application, that has ended.
	KindRestart Kind = "restart"
	// KindDropped means that transactions before it are missing.
	KindDropped Kind = "dropped"
)

func (k Kind) valid() bool {
	switch k {
	case KindRequest, KindSpawn, KindAttach, KindDetach, KindRestart, KindDropped:
		return true
	}

	return false
}

// Transaction is one thing that happened. Which fields it has depends on Kind.
// Durations are in nanoseconds as JSON. A text that is too long is cut, and says
// so at its end.
type Transaction struct {
	Kind Kind `json:"kind"`
	// Time is when it began, and Total how long it took.
	Time  time.Time     `json:"time"`
	Total time.Duration `json:"totalNs,omitempty"`
	// App is the name of the application's group, and Root the directory, which
	// a request does not have.
	App  string `json:"app,omitempty"`
	Root string `json:"root,omitempty"`
	// PID and GUPID tell the process; zero means none.
	PID   int    `json:"pid,omitempty"`
	GUPID string `json:"gupid,omitempty"`
	// ID is a request's X-Request-Id, or the id of the error of a spawn.
	ID string `json:"id,omitempty"`
	// Error is what went wrong. Category says of a spawn where to look.
	Error    string `json:"error,omitempty"`
	Category string `json:"category,omitempty"`

	// These are a request's. Traceparent is that of its span, by W3C's trace
	// context, which the application gets. ParentSpan is the id of the span before
	// it. Link is the traceparent of a client that is not trusted, if it is valid.
	// Query is empty unless Config.IncludeQuery.
	Traceparent string `json:"traceparent,omitempty"`
	ParentSpan  string `json:"parentSpan,omitempty"`
	Link        string `json:"link,omitempty"`
	Client      string `json:"client,omitempty"`
	UserAgent   string `json:"userAgent,omitempty"`
	Scheme      string `json:"scheme,omitempty"`
	Method      string `json:"method,omitempty"`
	Host        string `json:"host,omitempty"`
	Path        string `json:"path,omitempty"`
	Query       string `json:"query,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	// Status is 0 if there was no response, as the client had gone.
	Status int `json:"status,omitempty"`
	// RequestBytes and ResponseBytes count bodies.
	RequestBytes  int64 `json:"requestBytes,omitempty"`
	ResponseBytes int64 `json:"responseBytes,omitempty"`
	// Cached reports whether the turbocache had the response.
	Cached bool `json:"cached,omitempty"`
	// Queued is how long it waited for a process. Checkout is when it had one,
	// FirstByte when the first byte of the response came, both since Time; zero means
	// that this did not happen.
	Queued    time.Duration `json:"queuedNs,omitempty"`
	Checkout  time.Duration `json:"checkoutNs,omitempty"`
	FirstByte time.Duration `json:"firstByteNs,omitempty"`

	// Generation counts the restarts of a process's application.
	Generation uint32 `json:"generation,omitempty"`
	// Processed counts the sessions that a process has had, and Exited says that
	// it ended by itself.
	Processed uint64 `json:"processed,omitempty"`
	Exited    bool   `json:"exited,omitempty"`
	// Blocking reports whether a restart was not a rolling one.
	Blocking bool `json:"blocking,omitempty"`

	// Dropped is how many transactions are missing; those that were on their way
	// when a connection broke are among them, though they may have arrived.
	Dropped uint64 `json:"dropped,omitempty"`
}

// text is one that a transaction has, and how many bytes it may have. All of
// them together, each byte escaped as six, fit into a line.
type text struct {
	value *string
	limit int
}

func (t *Transaction) texts() [17]text {
	return [...]text{
		{&t.App, 512},
		{&t.Root, 1024},
		{&t.GUPID, 64},
		{&t.ID, 128},
		{&t.Error, 1024},
		{&t.Category, 64},
		{&t.Traceparent, 64},
		{&t.ParentSpan, 32},
		{&t.Link, 64},
		{&t.Client, 64},
		{&t.UserAgent, 512},
		{&t.Scheme, 16},
		{&t.Method, 64},
		{&t.Host, 256},
		{&t.Path, 4096},
		{&t.Query, 2048},
		{&t.Protocol, 32},
	}
}

// size is how much memory t holds, in bytes and nearly.
func (t *Transaction) size() int {
	n := 512
	for _, s := range t.texts() {
		n += len(*s.value)
	}

	return n
}

const cutMark = "...(cut)"

// cut makes all texts short enough, and valid UTF-8.
func (t *Transaction) cut() {
	for _, s := range t.texts() {
		v := strings.ToValidUTF8(*s.value, "\uFFFD")
		if len(v) > s.limit {
			end := s.limit - len(cutMark)
			for !utf8.RuneStart(v[end]) {
				end--
			}

			v = v[:end] + cutMark
		}

		*s.value = v
	}
}
