// Package defaultlog is where what goes wrong is logged to when a configuration says
// nothing of it.
package defaultlog

import (
	"context"
	"log/slog"
	"slices"

	"github.com/go-logr/logr"
)

// Stream is the attribute of a line that an application has printed, and Stderr its
// value for those that count.
const (
	Stream = "stream"
	Stderr = "stderr"
)

// Silent logs nothing. The zero logger, which is what logr.Discard returns, looks the
// same as one that is not set.
func Silent() logr.Logger { return logr.FromSlogHandler(slog.DiscardHandler) }

// Or returns log, or in the place of the zero one a logger that passes on to
// slog.Default warnings, errors, and what applications print to stderr.
func Or(log logr.Logger) logr.Logger {
	if log.GetSink() != nil {
		return log
	}

	return logr.FromSlogHandler(essential{})
}

// essential is a handler before that of slog.Default, whichever that is when something
// is logged.
type essential struct {
	// with are what WithAttrs and WithGroup have been called for, in their order.
	with []func(slog.Handler) slog.Handler
}

// Enabled says yes to Info, since what applications print is no more than that.
func (essential) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (e essential) Handle(ctx context.Context, r slog.Record) error { //nolint:gocritic // slog's signature
	h := slog.Default().Handler()
	if r.Level < slog.LevelWarn && !isStderr(&r) || !h.Enabled(ctx, r.Level) {
		return nil
	}

	for _, with := range e.with {
		h = with(h)
	}

	return h.Handle(ctx, r)
}

func isStderr(r *slog.Record) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == Stream && a.Value.String() == Stderr
		return !found
	})

	return found
}

func (e essential) WithAttrs(attrs []slog.Attr) slog.Handler {
	return e.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (e essential) WithGroup(name string) slog.Handler {
	return e.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (e essential) and(with func(slog.Handler) slog.Handler) slog.Handler {
	return essential{with: append(slices.Clip(e.with), with)}
}
