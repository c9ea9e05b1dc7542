package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/secrets"
)

func TestRequestLogShowsNoSecretOfTheTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	require.NoError(t, err)

	log := &requestLog{file: newLogFile("", f, textFormat)}
	for _, c := range secrets.Cases() {
		if c.ByItself {
			log.write("GET", "/path?a="+c.Value, 200, 10, time.Millisecond)
		}
	}

	require.NoError(t, log.close())
	_ = f.Close() // it may be closed

	shown, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(shown), "GET /path?a=")

	for _, c := range secrets.Cases() {
		require.NotContains(t, string(shown), c.Secret)
	}
}

// Where the log is JSON, standard output has objects only.
func TestRequestLogIsJSONWhereTheLogIs(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)

	log := &requestLog{file: newLogFile("", f, jsonFormat)}
	log.write("GET", "/a\"b\x9b?password=secret", 200, 10, time.Millisecond)
	require.NoError(t, log.close())

	content, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.NoError(t, f.Close())

	var record struct{ Level, Msg string }
	require.NoError(t, json.Unmarshal(content, &record), "%s", content)
	require.Equal(t, "INFO", record.Level)
	require.Equal(t, `GET /a"b\x9b?password=(hidden) 200 10 B 1.0 ms`, record.Msg)
}

func TestRequestLogHasTheFormatOfTheLog(t *testing.T) {
	for format, want := range map[string]logFormat{"json": jsonFormat, "plain": textFormat, "": textFormat} {
		cfg := Config{}
		cfg.RequestLog, cfg.LogFormat = "true", format
		log := newRequestLog(&cfg)
		require.Equal(t, want, log.file.format, format)
		require.NoError(t, log.close())
	}
}
