package passengerotel

import (
	"context"
	"errors"

	"github.com/gopassenger/passenger"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
)

// instruments are the metrics. No attribute has values that clients choose freely.
type instruments struct {
	duration         httpconv.ServerRequestDuration
	active           httpconv.ServerActiveRequests
	queued           metric.Float64Histogram
	spawns, restarts metric.Float64Histogram
	processes        metric.Int64UpDownCounter
}

// The buckets of histograms that semantic conventions do not define, in seconds.
var (
	queueBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	spawnBounds = []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120, 300}
)

func newInstruments(m metric.Meter) (i instruments, err error) {
	var errs []error
	histogram := func(name, description string, bounds []float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithDescription(description), metric.WithUnit("s"),
			metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)

		return h
	}
	i.duration, err = httpconv.NewServerRequestDuration(m)
	errs = append(errs, err)
	i.active, err = httpconv.NewServerActiveRequests(m)
	errs = append(errs, err)
	i.queued = histogram("passenger.request.queue.duration", "Time that requests waited for a process.", queueBounds)
	i.spawns = histogram("passenger.spawn.duration", "Duration of starts of processes.", spawnBounds)
	i.restarts = histogram("passenger.restart.duration", "Duration of restarts of applications.", spawnBounds)
	i.processes, err = m.Int64UpDownCounter("passenger.processes",
		metric.WithDescription("Number of processes that applications have."), metric.WithUnit("{process}"))
	errs = append(errs, err)

	return i, errors.Join(errs...)
}

func (i *instruments) requestBegan(ctx context.Context, r *request, e *passenger.RequestEvent) {
	i.active.Add(ctx, 1, httpconv.RequestMethodAttr(r.method), r.scheme, appName(e.AppName))
}

// requestEnded measures what middleware does not.
func (i *instruments) requestEnded(ctx context.Context, r *request, e *passenger.RequestEvent, f failure) {
	app := appName(e.AppName)
	if e.Processes > 0 {
		i.queued.Record(ctx, e.Queued.Seconds(), metric.WithAttributes(app))
	}

	if r.inside {
		return
	}

	method := httpconv.RequestMethodAttr(r.method)
	i.active.Add(ctx, -1, method, r.scheme, app)
	attributes := []attribute.KeyValue{app}
	if e.Status != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(e.Status))
	}

	if version := protocolVersion(e.Protocol); version != "" {
		attributes = append(attributes, semconv.NetworkProtocolVersion(version))
	}

	if f.failed() {
		attributes = append(attributes, f.attribute())
	}

	i.duration.Record(ctx, e.Ended.Seconds(), method, r.scheme, attributes...)
}
