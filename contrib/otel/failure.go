package passengerotel

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/spawner"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// failure is the reason of a failure without the texts of errors, which may have passwords if
// applications print them. The error ID finds them in the log.
type failure struct {
	// kind is the error.type; empty means no failure of the server.
	kind string
	// spawn is the error of a start, or nil.
	spawn *spawner.SpawnError
}

// kinds are tried in this order.
var kinds = []struct {
	match func(error) bool
	kind  string
}{
	{as[*spawner.SpawnError], "spawn_error"},
	{as[*passenger.QueueFullError], "queue_full"},
	{is(passenger.ErrQueueTimeout), "queue_timeout"},
	{is(passenger.ErrExhausted), "exhausted"},
	{is(passenger.ErrAppDetached), "app_detached"},
	{is(passenger.ErrClosed), "pool_closed"},
	{as[*passenger.ConnectError], "connect_error"},
	{is(context.DeadlineExceeded), "timeout"},
	{is(context.Canceled), "canceled"},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)

	return ok
}

// failureOf returns the kind of an error, or other if it has none.
func failureOf(err error, other string) failure {
	if err == nil {
		return failure{}
	}

	f := failure{kind: other}
	for _, k := range kinds {
		if k.match(err) {
			f.kind = k.kind
			break
		}
	}

	f.spawn, _ = errors.AsType[*spawner.SpawnError](err)

	return f
}

// requestFailure is a failure of the server: neither a status below 500 nor a client that leaves is
// one.
func requestFailure(ctx context.Context, e *passenger.RequestEvent) failure {
	const lowestServerError = 500 // none of our own is above 599, but applications may use what they like
	switch {
	case e.Err == nil && e.Status >= lowestServerError:
		return failure{kind: strconv.Itoa(e.Status)}
	case e.Err == nil, e.Status == 0, errors.Is(ctx.Err(), context.Canceled):
		return failure{}
	case e.Status >= lowestServerError:
		return failureOf(e.Err, strconv.Itoa(e.Status))
	case e.Status < http.StatusBadRequest:
		return failureOf(e.Err, "broken_response")
	}

	return failure{}
}

func (f failure) failed() bool { return f.kind != "" }

func (f failure) attribute() attribute.KeyValue { return semconv.ErrorTypeKey.String(f.kind) }

// mark sets the error status of the span if there is a failure.
func (f failure) mark(span trace.Span) {
	if !f.failed() {
		return
	}

	description := ""
	span.SetAttributes(f.attribute())
	if f.spawn != nil {
		description = "cannot start the application: " + f.spawn.Category.String() + " (error " + f.spawn.ID + ")"
		span.SetAttributes(errorIDKey.String(f.spawn.ID), errorCategoryKey.String(f.spawn.Category.String()))
	}

	span.SetStatus(codes.Error, description)
}
