package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/spawner"
)

// commanding is text that would move a cursor, turn the direction of a line, or begin another one.
const commanding = "a\x1b[2J\x7f\u0085\u009b31m\u2028\u202eb\u2066\ufeff\U000e0041"

// Whatever writes to a log, in whatever format, a client or an application commands no terminal that shows it. Programs
// that read JSON get the text as it was.
func TestNoLogCommandsATerminal(t *testing.T) {
	app := &spawner.App{Root: "/srv/" + commanding}
	err := errors.New(commanding)

	// Each writes commanding as the value "text", where that is a record of JSON.
	writers := map[string]func(t *testing.T, format logFormat, w *logFile){
		"record": func(_ *testing.T, format logFormat, w *logFile) {
			log := newLogger(w, newLogLevel(3), format).WithValues("with", commanding)
			log.Info(commanding, "text", commanding)
			log.Error(err, "x", "text", commanding)
		},
		"record of several lines": func(_ *testing.T, format logFormat, w *logFile) {
			newLogger(w, newLogLevel(3), format).Info("x", "output", "one\n"+commanding, "text", commanding)
		},
		"access log": func(_ *testing.T, _ logFormat, w *logFile) {
			jsonLogger(w).Info("request", "text", commanding)
		},
		"request log": func(_ *testing.T, format logFormat, w *logFile) {
			if format == plainFormat {
				w.format = textFormat // there is no other one
			}

			(&requestLog{file: w}).write("GET", "/"+commanding, 200, 1, time.Second)
		},
		"output of an application": func(_ *testing.T, format logFormat, w *logFile) {
			out := newAppOutput(w, newLogger(w, newLogLevel(3), format), newLogLevel(3), format).open(app)
			out.Line(7, "stdout", commanding)
			out.Line(7, "stdout", `{"text": "`+strings.ReplaceAll(commanding, "\x1b", `\u001b`)+`"}`)
		},
		"output of a companion": func(_ *testing.T, format logFormat, w *logFile) {
			to := newAppOutput(w, newLogger(w, newLogLevel(3), format), newLogLevel(3), format)
			to.openCompanion(app, "worker").Line(7, "stdout", commanding)
		},
		"record of the log about itself": func(_ *testing.T, format logFormat, w *logFile) {
			_, _ = w.Write(format.record(commanding))
		},
	}

	for name, write := range writers {
		for _, format := range []logFormat{plainFormat, textFormat, jsonFormat} {
			path := filepath.Join(t.TempDir(), "log")
			file, err := openLog(path, format)
			require.NoError(t, err)
			write(t, format, file)
			require.NoError(t, file.close())

			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotEmpty(t, content)

			for _, c := range string(content) {
				require.True(t, c == '\n' || !printable.Not(c), "%s, format %d: %q has %q", name, format, content, c)
			}

			if format == jsonFormat {
				requireText(t, content)
			}
		}
	}

	var b bytes.Buffer
	b.Write(JSONRecord("WARN", commanding))
	require.NotContains(t, b.String(), "\u009b")
	requireText(t, b.Bytes())
}

// requireText makes sure that no line of JSON has another value for a text than commanding.
func requireText(t *testing.T, lines []byte) {
	t.Helper()

	for line := range bytes.Lines(lines) {
		record := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &record), "%q", line)
		if own, ok := record["app_line"].(map[string]any); ok {
			record = own
		}

		if text, ok := record["text"]; ok {
			require.Equal(t, commanding, text)
		}
	}
}
