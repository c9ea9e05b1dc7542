package apiserver_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
)

// A reload may bring log files, and take them away.
func TestWhetherThereAreLogFilesIsAskedEachTime(t *testing.T) {
	var failure error

	h := newHouse(t, func(c *apiserver.Config) { c.ReopenLogs = func() error { return failure } }).onUnix()
	for _, path := range []string{"/reopen_logs.json", "/reinherit_logs.json"} {
		failure = nil
		require.Equal(t, 200, h.ask("POST", path, "").Status)

		failure = fmt.Errorf("now: %w", apiserver.ErrNoLogFile)
		a := h.ask("POST", path, "")
		require.Equal(t, 500, a.Status)
		require.Contains(t, a.Body, `"code":"NO_LOG_FILE"`)
	}
}
