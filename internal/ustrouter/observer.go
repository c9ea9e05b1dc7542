package ustrouter

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
)

// Observer sends what happens in a pool to a Router, as its Config.Observer. It
// never waits: while there is no router, or one that is too slow, it keeps as
// many transactions as Config says, and drops those that come then. It connects
// when there is something to send.
type Observer struct {
	passenger.NoObserver

	query      bool
	sampleRate float64
	queue      *queue
	sender     *sender

	closing sync.Once
}

var _ passenger.Observer = (*Observer)(nil)

// NewObserver returns an Observer of a configuration that is enabled. It must be
// closed, after the pool. log gets what goes wrong, dropped transactions at most
// once per ten seconds; the zero value discards it.
func NewObserver(c Config, log logr.Logger) (*Observer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}

	if !c.Enabled() {
		return nil, errors.New("there is nowhere to pass transactions on to: set a file, or the URL of a collector")
	}

	return newObserver(&c, dialer(c.Socket), log), nil
}

func newObserver(c *Config, dial dialFunc, log logr.Logger) *Observer {
	q := newQueue(c.queueLength())
	o := &Observer{query: c.IncludeQuery, sampleRate: c.SampleRate, queue: q, sender: newSender(q, dial, log)}
	o.sender.start()

	return o
}

// RequestEnded sends a request.
func (o *Observer) RequestEnded(ctx context.Context, e *passenger.RequestEvent) {
	p := placeOf(ctx)
	t := Transaction{
		Kind:          KindRequest,
		Time:          e.Began,
		Total:         e.Ended,
		App:           e.AppName,
		PID:           e.PID,
		GUPID:         e.GUPID,
		ID:            e.ID,
		Traceparent:   p.traceparent,
		ParentSpan:    p.parent,
		Link:          p.link,
		Client:        e.RemoteAddr,
		UserAgent:     p.userAgent,
		Scheme:        e.Scheme,
		Method:        e.Method,
		Host:          e.Host,
		Protocol:      e.Protocol,
		Status:        e.Status,
		RequestBytes:  e.RequestBytes,
		ResponseBytes: e.ResponseBytes,
		Cached:        e.Cached,
		Queued:        e.Queued,
		Checkout:      e.CheckedOut,
		FirstByte:     e.FirstByte,
	}
	path, query, _ := strings.Cut(e.Target, "?")
	t.Path = withoutAuthority(path)
	if o.query {
		t.Query = redacted(query)
	}

	if e.Err != nil {
		t.Error = e.Err.Error()
	}

	// A part of the target keeps all of it in memory.
	o.put(&t, len(e.Target)-len(t.Path)-len(t.Query))
}

// withoutAuthority leaves out what precedes the path where the target is a whole
// URL, which may have a password.
func withoutAuthority(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}

	_, rest, found := strings.Cut(target, "://")
	if !found {
		return target
	}

	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		return rest[slash:]
	}

	return "/"
}

// SpawnEnded sends an attempt to start a process.
func (o *Observer) SpawnEnded(e *passenger.SpawnEvent) {
	t := Transaction{
		Kind:       KindSpawn,
		Time:       e.Began,
		Total:      e.Took,
		App:        e.AppName,
		Root:       e.AppRoot,
		PID:        e.PID,
		Generation: e.Generation,
	}
	if failure, ok := errors.AsType[*spawner.SpawnError](e.Err); ok {
		t.ID, t.Category, t.Error = failure.ID, failure.Category.String(), failure.Summary
	} else if e.Err != nil {
		t.Error = e.Err.Error()
	}

	o.put(&t, 0)
}

// ProcessAttached sends a process that came.
func (o *Observer) ProcessAttached(e *passenger.ProcessEvent) { o.process(KindAttach, e) }

// ProcessDetached sends a process that left.
func (o *Observer) ProcessDetached(e *passenger.ProcessEvent) { o.process(KindDetach, e) }

func (o *Observer) process(kind Kind, e *passenger.ProcessEvent) {
	o.put(&Transaction{
		Kind:       kind,
		Time:       e.At,
		App:        e.AppName,
		Root:       e.AppRoot,
		PID:        e.PID,
		GUPID:      e.GUPID,
		Generation: e.Generation,
		Processed:  e.Processed,
		Exited:     e.Exited,
	}, 0)
}

// RestartEnded sends a restart.
func (o *Observer) RestartEnded(e *passenger.RestartEvent) {
	t := Transaction{
		Kind:       KindRestart,
		Time:       e.Began,
		Total:      e.Took,
		App:        e.AppName,
		Root:       e.AppRoot,
		Generation: e.Generation,
		Blocking:   e.Blocking,
	}
	if e.Err != nil {
		t.Error = e.Err.Error()
	}

	o.put(&t, 0)
}

func (o *Observer) put(t *Transaction, held int) {
	if o.sender.closed.Load() || !o.queue.put(t, held) {
		o.sender.drops.count.Add(1)
	}
}

// closeTimeout bounds Close, whatever its context.
const closeTimeout = 15 * time.Second

// Close sends what waits and returns when the router has taken it, when ctx
// ends, or after 15 seconds; its error says how much was lost then. What happens
// later is dropped.
func (o *Observer) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	o.closing.Do(o.sender.stop)

	return o.sender.wait(ctx)
}

// secretParameters are those whose values must not be recorded. (Source: url.query in OpenTelemetry's semantic
// conventions.)
var secretParameters = []string{
	"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature", "X-Amz-Credential",
	"X-Amz-Security-Token",
}

func redacted(query string) string {
	if query == "" {
		return ""
	}

	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, found := strings.Cut(pair, "=")
		// A name that cannot be read could be any.
		if plain, err := url.QueryUnescape(name); found && (err != nil || slices.Contains(secretParameters, plain)) {
			pairs[i] = name + "=REDACTED"
		}
	}

	return strings.Join(pairs, "&")
}
