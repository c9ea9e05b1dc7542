// Package passengerotel reports what happens in a pool of package passenger as OpenTelemetry spans
// and metrics, by the semantic conventions of HTTP servers. Applications receive the trace context
// of the request's span, so that their spans join the trace.
//
//	observer, err := passengerotel.New(passengerotel.Config{TracerProvider: traces, MeterProvider: metrics})
//	pool, err := passenger.New(passenger.Config{Observer: observer})
package passengerotel

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"

	"github.com/gopassenger/passenger"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// ScopeName is the instrumentation scope of all spans and metrics.
const ScopeName = "github.com/gopassenger/passenger/contrib/otel"

// Config configures an Observer. The zero value uses the global providers and propagator of package
// otel.
type Config struct {
	// TracerProvider makes the spans; nil means otel.GetTracerProvider, also if that is set later.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics; nil means otel.GetMeterProvider.
	MeterProvider metric.MeterProvider
	// Propagator reads the trace context of clients and writes that for applications; nil means
	// otel.GetTextMapPropagator. That does nothing unless the program has set one, such as
	// propagation.TraceContext; then the spans of applications do not join.
	Propagator propagation.TextMapPropagator
	// TrustParent reports whether the trace context in e.Header is trusted, so that the client's
	// span is the parent of the request's. Otherwise the request begins a trace of its own, whose
	// first span links to the client's, and the client's baggage does not reach the application.
	// Nil trusts no client, since any client could have spans recorded and join any trace.
	// [TrustProxies] trusts those that the handler trusts, as passenger start does. [TrustAll] is
	// for servers behind a proxy that sets or removes the headers.
	TrustParent func(ctx context.Context, e *passenger.RequestEvent) bool
	// IncludeQuery records the query string, which may have secrets, as url.query. Values that the
	// semantic conventions exclude are left out even then.
	IncludeQuery bool
}

// TrustAll is a Config.TrustParent that trusts all clients.
func TrustAll(context.Context, *passenger.RequestEvent) bool { return true }

// TrustProxies is a Config.TrustParent that trusts handler.Config.TrustedProxies, and peers on Unix
// sockets.
func TrustProxies(_ context.Context, e *passenger.RequestEvent) bool { return e.TrustedPeer }

// Observer is the passenger.Config.Observer of one pool. It is safe for concurrent use.
// [passenger.Observers] combines it with others.
type Observer struct {
	cfg     Config
	tracer  trace.Tracer
	meters  instruments
	ongoing *ongoing
}

var _ passenger.Observer = (*Observer)(nil)

// New returns an Observer. The error is that of a MeterProvider that does not make the instruments.
func New(cfg Config) (*Observer, error) {
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}

	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}

	if cfg.Propagator == nil {
		cfg.Propagator = otel.GetTextMapPropagator()
	}

	if cfg.TrustParent == nil {
		cfg.TrustParent = func(context.Context, *passenger.RequestEvent) bool { return false }
	}

	o := &Observer{
		cfg:     cfg,
		ongoing: &ongoing{spawns: map[uint64]trace.Span{}, restarts: map[uint64]trace.Span{}},
	}
	o.tracer = cfg.TracerProvider.Tracer(ScopeName,
		trace.WithInstrumentationVersion(passenger.Version), trace.WithSchemaURL(semconv.SchemaURL))
	meter := cfg.MeterProvider.Meter(ScopeName,
		metric.WithInstrumentationVersion(passenger.Version), metric.WithSchemaURL(semconv.SchemaURL))
	var err error
	if o.meters, err = newInstruments(meter); err != nil {
		return nil, fmt.Errorf("cannot make the instruments of %s with the MeterProvider: %w", ScopeName, err)
	}

	return o, nil
}

// request is a request in progress.
type request struct {
	span trace.Span
	// inside reports whether middleware has made the server's span, and measures.
	inside         bool
	method, scheme string
}

// requestKey is an observer's own, so that several may watch a request.
type requestKey struct{ o *Observer }

// RequestBegan starts the span of the request: that of the server or, if the program has started a
// span before the handler, a child of it.
func (o *Observer) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	outer := trace.SpanContextFromContext(ctx)
	r := &request{
		inside: outer.IsValid() && !outer.IsRemote(),
		method: knownMethod(e.Method),
		scheme: e.Scheme,
	}

	if r.inside {
		ctx, r.span = o.tracer.Start(ctx, "passenger request", trace.WithTimestamp(e.Began),
			trace.WithAttributes(appName(e.AppName), requestID(e.ID)))
	} else {
		ctx, r.span = o.startServerSpan(ctx, e)
		o.meters.requestBegan(ctx, r, e)
	}

	o.setAppHeader(ctx, e)

	return context.WithValue(ctx, requestKey{o}, r)
}

// startServerSpan starts the span of a request for which the program has started none.
func (o *Observer) startServerSpan(ctx context.Context, e *passenger.RequestEvent) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(e.Began),
		trace.WithAttributes(o.requestAttributes(e)...),
	}

	// A remote parent is in the context if middleware believes it.
	if !trace.SpanContextFromContext(ctx).IsValid() {
		theirs := o.cfg.Propagator.Extract(ctx, propagation.HeaderCarrier(http.Header(e.Header)))
		if o.cfg.TrustParent(ctx, e) {
			ctx = theirs
		} else if parent := trace.SpanContextFromContext(theirs); parent.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: parent}))
		}
	}

	return o.tracer.Start(ctx, spanName(e.Method), options...)
}

// setAppHeader makes the request's span the parent of the application's. It removes the client's
// trace context, since parts of two must not be mixed. If nothing is traced, the client's context
// passes.
func (o *Observer) setAppHeader(ctx context.Context, e *passenger.RequestEvent) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}

	header := textproto.MIMEHeader{}
	for _, name := range o.cfg.Propagator.Fields() {
		header[textproto.CanonicalMIMEHeaderKey(name)] = nil
	}

	o.cfg.Propagator.Inject(ctx, propagation.HeaderCarrier(http.Header(header)))
	e.AppHeader = header
}

// RequestEnded ends the request's span.
func (o *Observer) RequestEnded(ctx context.Context, e *passenger.RequestEvent) {
	r, ok := ctx.Value(requestKey{o}).(*request)
	if !ok {
		return
	}

	failure := requestFailure(ctx, e)
	o.meters.requestEnded(ctx, r, e, failure)
	r.span.SetAttributes(responseAttributes(e)...)
	failure.mark(r.span)
	r.span.End(trace.WithTimestamp(e.Began.Add(e.Ended)))
}
