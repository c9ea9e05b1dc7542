package agent

import (
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/ratelog"
)

// slogLevels are the levels of Passenger, from 0, only what is fatal, to 7.
// logr's V(n) is slog's level -n.
var slogLevels = [maxLogLevel + 1]slog.Level{
	slog.LevelError + 4, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelInfo, -1, -2, -4,
}

// logLevel is what a logger lets through, from 0 to 7. It may change.
type logLevel struct{ at atomic.Int64 }

func newLogLevel(level int) *logLevel {
	l := &logLevel{}
	l.set(level)
	return l
}

func (l *logLevel) set(level int) { l.at.Store(int64(min(max(level, 0), maxLogLevel))) }
func (l *logLevel) get() int      { return int(l.at.Load()) }

// Level is slog's.
func (l *logLevel) Level() slog.Level { return slogLevels[l.get()] }

// newLogger returns a logger that writes what level lets through, in a format.
func newLogger(w io.Writer, level *logLevel, format logFormat) logr.Logger {
	if format == jsonFormat {
		return logr.FromSlogHandler(slog.NewJSONHandler(printable.JSONWriter(w), &slog.HandlerOptions{Level: level}))
	}

	return logr.FromSlogHandler(newBlockHandler(w, level, format))
}

const (
	// standardOutput is the name of an access log.
	standardOutput  = "-"
	accessLogOption = "--access-log"
	appLogOption    = "--app-log-file"
	logOption       = "--log-file"
)

// openAccessLog opens a file that gets a line of JSON for each request; "-" is
// standard output, and no name no log, which is a nil file.
func openAccessLog(path string) (*logFile, logr.Logger, error) {
	switch path {
	case "":
		return nil, logr.Logger{}, nil
	case standardOutput:
		f := newLogFile("", os.Stdout, jsonFormat)
		return f, jsonLogger(f), nil
	}

	f, err := openLog(path, jsonFormat)
	if err != nil {
		return nil, logr.Logger{}, err
	}

	return f, jsonLogger(f), nil
}

// accessLogError says which file is meant, and by which option another one is named.
func accessLogError(err error) error {
	if err == nil {
		return nil
	}

	return fmt.Errorf("the access log: %w", withOption(err, accessLogOption))
}

func jsonLogger(w io.Writer) logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(printable.JSONWriter(w), nil))
}

// errorLog takes what net/http has to say, which is mostly about clients.
func errorLog(l logr.Logger) *log.Logger { return log.New(&serverLog{log: l}, "", 0) }

type serverLog struct {
	log    logr.Logger
	accept ratelog.Line
}

func (w *serverLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	// That net/http cannot accept is the server's affair; the rest is about clients, who can cause any number of it.
	if reason, ok := strings.CutPrefix(text, "http: Accept error: "); ok {
		w.acceptError(reason)
	} else {
		w.log.V(1).Info(text)
	}

	return len(p), nil
}

// floodLog returns what tells of clients whose frames of HTTP/2 end their connections.
func floodLog(l logr.Logger) func(client net.Addr, reason error) {
	var floods ratelog.Line

	return func(client net.Addr, reason error) {
		floods.Tell(func(more int) {
			l.Error(reason, "closed connections of HTTP/2", "client", client.String(), "more", more)
		})
	}
}

func (w *serverLog) acceptError(reason string) {
	w.accept.Tell(func(more int) {
		w.log.Error(errors.New(reason), "cannot accept connections: raise the limit of open files", "more", more)
	})
}
