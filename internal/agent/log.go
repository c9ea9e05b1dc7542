package agent

import (
	"io"
	"log"
	"log/slog"

	"github.com/go-logr/logr"
)

// slogLevels are the levels of Passenger, from 0, only what is fatal, to 7.
// logr's V(n) is slog's level -n.
var slogLevels = [maxLogLevel + 1]slog.Level{
	slog.LevelError + 4, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelInfo, -1, -2, -4,
}

// NewLogger returns a logger that writes what level, from 0 to 7, lets
// through.
func NewLogger(w io.Writer, level int) logr.Logger {
	level = min(max(level, 0), maxLogLevel)
	return logr.FromSlogHandler(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slogLevels[level]}))
}

// errorLog takes what net/http has to say, which is mostly about clients.
func errorLog(l logr.Logger) *log.Logger {
	return slog.NewLogLogger(logr.ToSlogHandler(l.V(1)), slog.LevelInfo)
}
