package ustrouter

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
)

const (
	tracesPath = "/v1/traces"
	// maxBatch is how many spans a request to the collector has, and
	// batchInterval how long the first of them waits for the others.
	maxBatch      = 512
	batchInterval = 5 * time.Second
)

// OTLP is a sink that sends transactions as spans to an OpenTelemetry collector,
// over HTTP as JSON, but requests whose trace is not sampled: the spans around
// theirs would be missing.
type OTLP struct {
	url     string
	headers Headers
	client  *http.Client
	log     logr.Logger
	queue   *queue
	spans   spanner

	drops   drops
	written atomic.Uint64

	closing chan struct{}
	closed  atomic.Bool
	ctx     context.Context // ends when what is left is to be dropped
	giveUp  context.CancelFunc
	done    chan struct{}

	// notBefore is what the collector has asked for.
	notBefore time.Time
	// failing reports whether it was logged that the collector takes nothing.
	failing  bool
	failures ratelog.Line
}

var _ Sink = (*OTLP)(nil)

// NewOTLP returns a sink for the collector of a configuration. It must be closed.
// log gets what goes wrong; the zero value discards it.
func NewOTLP(c Config, log logr.Logger) (*OTLP, error) {
	if err := validateEndpoint(c.OTLPEndpoint); err != nil {
		return nil, err
	}

	if err := c.OTLPHeaders.validate(); err != nil {
		return nil, err
	}

	return newOTLP(&c, newTransport(), log), nil
}

func newOTLP(c *Config, transport http.RoundTripper, log logr.Logger) *OTLP {
	o := &OTLP{
		url:     strings.TrimSuffix(c.OTLPEndpoint, "/") + tracesPath,
		headers: c.OTLPHeaders,
		client:  newClient(transport),
		log:     log,
		queue:   newQueue(c.queueLength()),
		spans:   newSpanner(c),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	o.ctx, o.giveUp = context.WithCancel(context.Background())
	go o.run()

	return o
}

// Write puts t into the next batch, if there is room.
func (o *OTLP) Write(t *Transaction) {
	// It is not dropped: the sampling says so.
	if own, ok := parseTraceparent(t.Traceparent); ok && own.flags&flagSampled == 0 {
		return
	}

	if o.closed.Load() || !o.queue.put(t, 0) {
		o.drops.count.Add(1)
	}
}

// Close sends what waits, until ctx ends or for 15 seconds; its error says how
// much was dropped then.
func (o *OTLP) Close(ctx context.Context) error {
	if o.closed.Swap(true) {
		return errClosed
	}

	before := o.drops.count.Load()
	close(o.closing)
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()

	select {
	case <-o.done:
	case <-ctx.Done():
	case <-timer.C:
	}

	o.giveUp()
	<-o.done
	o.client.CloseIdleConnections()
	if lost := o.drops.count.Load() - before; lost > 0 {
		return fmt.Errorf("%d transactions were not sent to the collector %s and are lost", lost, o.url)
	}

	return nil
}

func (o *OTLP) run() {
	defer close(o.done)

	for batch := o.collect(); len(batch) > 0; batch = o.collect() {
		o.pass(batch)
	}

	o.drops.logged.at = time.Time{} // there is no later time
	o.drops.log(o.log, "on the way to the collector")
}

// pass sends a batch with what there is to say of drops, and counts what is lost.
func (o *OTLP) pass(batch []*Transaction) {
	count := uint64(len(batch))
	record := o.drops.record()
	if record != nil {
		batch = append(batch, record)
	}

	rejected, ok := o.deliver(batch)
	if ok {
		rejected = min(rejected, count)
		o.written.Add(count - rejected)
		o.drops.count.Add(rejected)

		return
	}

	o.drops.count.Add(count)
	if record != nil {
		o.drops.told.known -= record.Dropped
	}
}

// first waits for what a batch begins with.
func (o *OTLP) first() []*Transaction {
	for {
		o.drops.log(o.log, "on the way to the collector")

		select {
		case e := <-o.queue.entries:
			return []*Transaction{o.queue.took(&e)}
		case <-o.drops.dueToLog():
		case <-o.closing:
			return nil
		}
	}
}

// collect waits for a batch; it is empty when there will be none.
func (o *OTLP) collect() []*Transaction {
	batch := o.first()
	timer := time.NewTimer(batchInterval)
	defer timer.Stop()

	for len(batch) < maxBatch-1 { // one more may tell of drops
		select {
		case e := <-o.queue.entries:
			batch = append(batch, o.queue.took(&e))
		case <-timer.C:
			return batch
		case <-o.closing:
			t, more := o.queue.next()
			if !more {
				return batch
			}

			batch = append(batch, t)
		}
	}

	return batch
}
