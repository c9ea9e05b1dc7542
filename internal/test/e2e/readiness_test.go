package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
)

// moodyApp does not end its start while there is a file "slow", and exits while
// there is a file "broken".
const moodyApp = `
const fs = require('fs')
const begin = () => {
	if (fs.existsSync('slow')) return setTimeout(begin, 20)
	if (fs.existsSync('broken')) process.exit(4)
	require('http').createServer((_, res) => res.end(String(process.pid))).listen(3000)
}
begin()
`

// TestReadyMeansThatTheApplicationServes follows /readyz from the first start to
// one that fails after the only process has died.
func TestReadyMeansThatTheApplicationServes(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "slow", "broken")
	address := "127.0.0.1:" + freePort(t)
	s := start(t, &launch{dir: m.dir, args: m.args("--metrics-address", address)})
	status := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	defer status.CloseIdleConnections()
	awaitReason := func(want func(*apiserver.UnreadyApp) bool) {
		t.Helper()
		eventually(t, func() error {
			a := status.get(t, "/readyz")
			var body apiserver.NotReadyError
			if a.StatusCode != http.StatusServiceUnavailable || json.Unmarshal([]byte(a.body), &body) != nil ||
				len(body.Applications) != 1 || body.Applications[0].Root != m.dir || !want(&body.Applications[0]) {
				return fmt.Errorf("/readyz: %s: %s", a.Status, a.body)
			}

			return nil
		})
	}
	starting := func(app *apiserver.UnreadyApp) bool { return app.ErrorID == "" && app.Reason != "" }
	failed := func(app *apiserver.UnreadyApp) bool { return app.ErrorID != "" && app.Reason != "" }

	awaitReason(starting)
	m.unmark("slow")
	awaitReason(failed)

	m.unmark("broken")
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode, "a request's own attempt")
	require.Equal(t, http.StatusOK, status.get(t, "/readyz").StatusCode)

	m.mark("broken")

	for _, pid := range s.apps(t) {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}

	awaitReason(failed)
	require.Equal(t, http.StatusOK, status.get(t, "/livez").StatusCode)

	// The pool tries again by itself.
	m.unmark("broken")
	eventually(t, func() error {
		if a := status.get(t, "/readyz"); a.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s: %s", a.Status, a.body)
		}

		return nil
	})
	s.stop(t)
}
