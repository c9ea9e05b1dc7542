package agent

import (
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
