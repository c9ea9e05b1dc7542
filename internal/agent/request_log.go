package agent

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/internal/terminal"
)

// showsRequests reports whether standard output gets a line for each request: if the
// configuration says so, or in development on a terminal.
func (c *Config) showsRequests() bool {
	if c.RequestLog == "true" || c.RequestLog == "false" {
		return c.RequestLog == "true"
	}

	return c.Environment == development && c.Flying == nil && !c.Daemonize && c.AccessLog != standardOutput &&
		c.format(c.LogFile) == textFormat && terminal.Is(os.Stdout)
}

const development = "development"

// requestLog writes a line for each request that people can read. A nil one writes
// nothing.
type requestLog struct{ file *logFile }

// newRequestLog returns nil if the log is off.
func newRequestLog(c *Config) *requestLog {
	if !c.showsRequests() {
		return nil
	}

	format := textFormat
	if c.LogsJSON() {
		// Standard output may be the log, in which each line has to be an object.
		format = jsonFormat
	}

	return &requestLog{file: newLogFile("", os.Stdout, format)}
}

func (l *requestLog) close() error {
	if l == nil {
		return nil
	}

	return l.file.close()
}

// write writes the line of a request; status zero means that it had no response.
func (l *requestLog) write(method, target string, status int, bytes int64, took time.Duration) {
	// What is hidden is found in what is shown: escape sequences stay visible.
	b := []byte(redact.Text(string(appendPrintable(nil, method+" "+target, false))))
	shown := "-"
	if status > 0 {
		shown = fmt.Sprint(status)
	}

	b = fmt.Appendf(b, " %s %d B %s", shown, bytes, milliseconds(took))

	line := append(b, '\n')
	if l.file.format == jsonFormat {
		line = JSONRecord("INFO", string(b))
	}

	_, _ = l.file.Write(line)
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}

	return fmt.Sprintf("%.0f ms", ms)
}

// with returns a logger for handlers that writes to access, which may be of nothing, and
// to l.
func (l *requestLog) with(access logr.Logger) logr.Logger {
	if l == nil {
		return access
	}

	return logr.New(&requestSink{to: l, next: access})
}

// requestSink makes a line of a record of the access log.
type requestSink struct {
	to   *requestLog
	next logr.Logger
}

// Init is logr.LogSink's, as are the others.
func (*requestSink) Init(logr.RuntimeInfo) {}

// Enabled is always true.
func (*requestSink) Enabled(int) bool { return true }

// Info gets the record of a request.
func (s *requestSink) Info(_ int, msg string, values ...any) {
	if s.next.GetSink() != nil {
		s.next.Info(msg, values...)
	}

	var r struct {
		method, target string
		status         int
		bytes          int64
		took           float64
	}

	// The record has keys and values for a log of JSON, of which a line for people has five.
	for i := 0; i+1 < len(values); i += 2 {
		switch v := values[i+1].(type) {
		case string:
			switch values[i] {
			case "method":
				r.method = v
			case "target":
				r.target = v
			}
		case int:
			if values[i] == "status" {
				r.status = v
			}
		case int64:
			if values[i] == "bytesOut" {
				r.bytes = v
			}
		case float64:
			if values[i] == "totalMs" {
				r.took = v
			}
		}
	}

	s.to.write(r.method, r.target, r.status, r.bytes, time.Duration(r.took*float64(time.Millisecond)))
}

// Error is not called for requests.
func (s *requestSink) Error(err error, msg string, values ...any) { s.next.Error(err, msg, values...) }

// WithValues has none.
func (s *requestSink) WithValues(...any) logr.LogSink { return s }

// WithName has none.
func (s *requestSink) WithName(string) logr.LogSink { return s }

// countedWriter sees the response of a static file.
type countedWriter struct {
	http.ResponseWriter

	status int
	bytes  int64
}

func (w *countedWriter) WriteHeader(status int) {
	// Before the final status there may be several, as 103.
	if w.status < http.StatusOK {
		w.status = status
	}

	w.ResponseWriter.WriteHeader(status)
}

func (w *countedWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}

	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)

	return n, err
}

// Unwrap is for http.ResponseController.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
