package passengerotel

import (
	"context"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// maxPast limits the ended restarts that are kept.
const maxPast = 64

// ongoing are the spans of spawns and restarts in progress, by the IDs of their events. The events
// of a restart and its spawns come from several goroutines, in any order: the first one that names
// a restart starts its span.
type ongoing struct {
	mu               sync.Mutex
	spawns, restarts map[uint64]trace.Span
	// past are the ended restarts, the latest last.
	past []pastRestart
}

type pastRestart struct {
	id   uint64
	span trace.SpanContext
}

// restart returns a context with the span of this restart, which start makes if no earlier event
// has named it.
func (g *ongoing) restart(id uint64, start func() trace.Span) (ctx context.Context, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()

	ctx = context.Background()
	for _, p := range g.past {
		if p.id == id {
			return trace.ContextWithSpanContext(ctx, p.span), false
		}
	}

	span, ok := g.restarts[id]
	if !ok {
		span = start()
		g.restarts[id] = span
	}

	return trace.ContextWithSpan(ctx, span), !ok
}

// endRestart remembers that the restart has ended.
func (g *ongoing) endRestart(id uint64, span trace.SpanContext) {
	g.mu.Lock()
	defer g.mu.Unlock()

	delete(g.restarts, id)
	g.past = append(g.past, pastRestart{id, span})
	if len(g.past) > maxPast {
		g.past = append(g.past[:0], g.past[1:]...)
	}
}

func (g *ongoing) addSpawn(id uint64, span trace.Span) {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.spawns[id] = span
}

func (g *ongoing) takeSpawn(id uint64) trace.Span {
	g.mu.Lock()
	defer g.mu.Unlock()

	span := g.spawns[id]
	delete(g.spawns, id)

	return span
}

func (o *Observer) startSpan(
	ctx context.Context, name string, began time.Time, attributes ...attribute.KeyValue,
) trace.Span {
	_, span := o.tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithAttributes(attributes...))

	return span
}

func (o *Observer) startRestart(app string, began time.Time, attributes ...attribute.KeyValue) func() trace.Span {
	return func() trace.Span {
		return o.startSpan(context.Background(), "passenger restart", began, append(attributes, appName(app))...)
	}
}

// SpawnBegan starts the span of a spawn, within that of its restart if it has one.
func (o *Observer) SpawnBegan(e *passenger.SpawnEvent) {
	parent := context.Background()
	if e.RestartID != 0 {
		parent, _ = o.ongoing.restart(e.RestartID, o.startRestart(e.AppName, e.Began))
	}

	o.ongoing.addSpawn(e.ID, o.startSpan(parent, "passenger spawn", e.Began, appName(e.AppName),
		generation(e.Generation)))
}

// SpawnEnded ends the span of the spawn.
func (o *Observer) SpawnEnded(e *passenger.SpawnEvent) {
	span := o.ongoing.takeSpawn(e.ID)
	if span == nil {
		return
	}

	if e.PID != 0 {
		span.SetAttributes(pidKey.Int(e.PID))
	}

	o.endSpan(span, o.meters.spawns, e.Began, e.Took, e.Err, appName(e.AppName))
}

// RestartBegan starts the span of a restart.
func (o *Observer) RestartBegan(e *passenger.RestartEvent) {
	ctx, first := o.ongoing.restart(e.ID, o.startRestart(e.AppName, e.Began, restartAttributes(e)...))
	if !first {
		trace.SpanFromContext(ctx).SetAttributes(restartAttributes(e)...)
	}
}

// RestartEnded ends the span of the restart.
func (o *Observer) RestartEnded(e *passenger.RestartEvent) {
	ctx, _ := o.ongoing.restart(e.ID, o.startRestart(e.AppName, e.Began))
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(restartAttributes(e)...)
	o.ongoing.endRestart(e.ID, span.SpanContext())
	o.endSpan(span, o.meters.restarts, e.Began, e.Took, e.Err, appName(e.AppName), blockingKey.Bool(e.Blocking))
}

func restartAttributes(e *passenger.RestartEvent) []attribute.KeyValue {
	return []attribute.KeyValue{generation(e.Generation), blockingKey.Bool(e.Blocking)}
}

func generation(n uint32) attribute.KeyValue { return generationKey.Int64(int64(n)) }

// otherError is the error.type of semantic conventions for an error without a name.
const otherError = "_OTHER"

// endSpan ends the span, and records its duration.
func (o *Observer) endSpan(
	span trace.Span, durations metric.Float64Histogram,
	began time.Time, took time.Duration, err error, attributes ...attribute.KeyValue,
) {
	f := failureOf(err, otherError)
	f.mark(span)
	span.End(trace.WithTimestamp(began.Add(took)))
	if f.failed() {
		attributes = append(attributes, f.attribute())
	}

	ctx := trace.ContextWithSpan(context.Background(), span)
	durations.Record(ctx, took.Seconds(), metric.WithAttributes(attributes...))
}

// ProcessAttached counts the process.
func (o *Observer) ProcessAttached(e *passenger.ProcessEvent) { o.countProcess(e, 1) }

// ProcessDetached stops counting the process.
func (o *Observer) ProcessDetached(e *passenger.ProcessEvent) { o.countProcess(e, -1) }

func (o *Observer) countProcess(e *passenger.ProcessEvent, change int64) {
	o.meters.processes.Add(context.Background(), change, metric.WithAttributes(appName(e.AppName)))
}
