package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/interpreters"
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
	node := interpreters.Find(t, "node", "node", "nodejs")
	dir := t.TempDir()
	mark := func(name string) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600)) }
	unmark := func(name string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.js"), []byte(moodyApp), 0o600))

	mark("slow")
	mark("broken")
	address := "127.0.0.1:" + freePort(t)
	s := start(t, &launch{dir: dir, args: []string{"--nodejs", node, "--metrics-address", address}})
	status := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	defer status.CloseIdleConnections()
	awaitReason := func(want func(*apiserver.UnreadyApp) bool) {
		t.Helper()
		eventually(t, func() error {
			a := status.get(t, "/readyz")
			var body apiserver.NotReadyError
			if a.StatusCode != http.StatusServiceUnavailable || json.Unmarshal([]byte(a.body), &body) != nil ||
				len(body.Applications) != 1 || body.Applications[0].Root != dir || !want(&body.Applications[0]) {
				return fmt.Errorf("/readyz: %s: %s", a.Status, a.body)
			}
			return nil
		})
	}
	starting := func(app *apiserver.UnreadyApp) bool { return app.ErrorID == "" && app.Reason != "" }
	failed := func(app *apiserver.UnreadyApp) bool { return app.ErrorID != "" && app.Reason != "" }

	awaitReason(starting)
	unmark("slow")
	awaitReason(failed)

	unmark("broken")
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode, "a request's own attempt")
	require.Equal(t, http.StatusOK, status.get(t, "/readyz").StatusCode)

	mark("broken")
	for _, pid := range s.apps(t) {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	awaitReason(failed)
	require.Equal(t, http.StatusOK, status.get(t, "/livez").StatusCode)

	// The pool tries again by itself.
	unmark("broken")
	eventually(t, func() error {
		if a := status.get(t, "/readyz"); a.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s: %s", a.Status, a.body)
		}
		return nil
	})
	s.stop(t)
}
