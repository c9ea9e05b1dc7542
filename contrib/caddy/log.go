package passengercaddy

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// currentLog is the log of the configuration in use. The pool logs to it, and outlives all
// configurations.
type currentLog struct{ handler atomic.Pointer[slog.Handler] }

func (c *currentLog) use(h slog.Handler) { c.handler.Store(&h) }

// logHandler adds attributes and groups to records for the current log.
type logHandler struct {
	current *currentLog
	add     []func(slog.Handler) slog.Handler
}

func (h *logHandler) now() slog.Handler {
	to := *h.current.handler.Load()
	for _, add := range h.add {
		to = add(to)
	}

	return to
}

// Enabled reports whether the current log records the level.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return (*h.current.handler.Load()).Enabled(ctx, level)
}

// Handle passes the record to the current log.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error { return h.now().Handle(ctx, r) }

// WithAttrs returns a handler that adds them.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup returns a handler that opens the group.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *logHandler) with(add func(slog.Handler) slog.Handler) *logHandler {
	all := append(make([]func(slog.Handler) slog.Handler, 0, len(h.add)+1), h.add...)
	return &logHandler{h.current, append(all, add)}
}
