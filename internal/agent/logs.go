package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/terminal"
	"github.com/gopassenger/passenger/spawner"
)

// Logs say what logs look like, and where the output of applications goes.
type Logs struct {
	// LogFormat is text, plain or json; empty means text where the log is a terminal, else plain.
	LogFormat string
	// AppLogFile gets the output of the application; empty means that the server's log does.
	AppLogFile string
	// MaxOutputRate bounds the logged output of a process, in bytes a second; zero means no limit.
	MaxOutputRate int
	// RequestLog is auto, true or false; empty means auto.
	RequestLog string
}

// logFormat is the form of records and of applications' lines.
type logFormat uint8

const (
	// plainFormat has keys and values: for programs.
	plainFormat logFormat = iota
	// textFormat has lines of applications as they came: for people.
	textFormat
	// jsonFormat has an object on each line.
	jsonFormat
)

var logFormats = map[string]logFormat{"plain": plainFormat, "text": textFormat, "json": jsonFormat}

func (c *Config) checkAppLogFile() error {
	if c.AppLogFile != "" && !filepath.IsAbs(c.AppLogFile) {
		return fmt.Errorf("app_log_file is %q: it must be an absolute path", c.AppLogFile)
	}

	return nil
}

// format is that of the log at path, which is standard error if that is empty.
func (l *Logs) format(path string) logFormat {
	if f, ok := logFormats[l.LogFormat]; ok {
		return f
	}

	onTerminal := false
	switch fd := StandardFile(path); {
	case path == "" || fd == 2:
		onTerminal = terminal.Is(os.Stderr)
	case fd == 1:
		onTerminal = terminal.Is(os.Stdout)
	}

	if onTerminal {
		return textFormat
	}

	return plainFormat
}

// LogsJSON reports whether the log is JSON.
func (l *Logs) LogsJSON() bool { return l.LogFormat == "json" }

// applyLogs sets what is the spawner's to do.
func (l *Logs) applyLogs(app *spawner.App) {
	app.LogFile = l.AppLogFile
	app.MaxOutputRate = int64(l.MaxOutputRate)
	if l.MaxOutputRate == 0 {
		app.MaxOutputRate = -1
	}
}

// lostLines is what a log in this format has in the place of lines that could not be
// written.
func (f logFormat) lostLines(lost int) []byte {
	return f.record(fmt.Sprintf("%d lines of this log could not be written", lost))
}

// record is a line of the log about itself.
func (f logFormat) record(message string) []byte {
	if f == jsonFormat {
		return JSONRecord("WARN", message)
	}

	return append(appendPrintable([]byte("passenger: "), message, false), '\n')
}

// jsonRecord has what all records in JSON have.
type jsonRecord struct {
	Time  string `json:"time"`
	Level string `json:"level"`
	// Message is empty where AppLine is not.
	Message string `json:"msg,omitempty"`
	App     string `json:"app,omitempty"`
	// Companion is empty for processes that take requests.
	Companion string          `json:"companion,omitempty"`
	PID       int             `json:"pid,omitempty"`
	Stream    string          `json:"stream,omitempty"`
	AppLine   json.RawMessage `json:"app_line,omitempty"`
}

// JSONRecord is a line with a record that has a message only.
func JSONRecord(level, message string) []byte {
	return (&jsonRecord{Level: level, Message: message}).line()
}

func (r *jsonRecord) line() []byte {
	r.Time = time.Now().Format(time.RFC3339Nano)
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)

	// JSON in a log is no HTML, and people read it.
	encoder.SetEscapeHTML(false)
	// Texts, a number and what is valid JSON can be encoded.
	_ = encoder.Encode(r)

	return printable.JSON(b.Bytes())
}
