package admin_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/admin"
)

func TestRestartWithoutOldProcessesSaysWhatServes(t *testing.T) {
	for started, want := range map[int]string{
		0: `^no process ran, the next request starts the new release$`,
		1: `^no process ran, 1 was started in \d+\.\d s$`,
		2: `^no process ran, 2 were started in \d+\.\d s$`,
	} {
		r := admin.Restart{
			Client: serveRestart(t, started),
			Name:   "shop",
			Wait:   true,
		}
		found, err := r.Do(t.Context())
		require.NoError(t, err)
		require.True(t, found)
		require.Regexp(t, want, r.Result.String())
	}
}

// serveRestart plays a core whose application has no process before it restarts, and this many after it.
func serveRestart(t *testing.T, started int) *apiserver.Client {
	t.Helper()

	var restarted atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pool.json", func(w http.ResponseWriter, _ *http.Request) {
		processes := ""
		for pid := range started {
			if restarted.Load() {
				processes += fmt.Sprintf(`,{"pid":%d,"state":"enabled","generation":1}`, 1+pid)
			}
		}

		fmt.Fprintf(w, `{"schema":1,"groups":[{"name":"shop","processes":[%s]}]}`, processes[min(1, len(processes)):])
	})
	mux.HandleFunc("POST /pool/restart_app_group.json", func(w http.ResponseWriter, _ *http.Request) {
		restarted.Store(true)
		fmt.Fprint(w, `{"restarted":true}`)
	})

	socket := filepath.Join(t.TempDir(), "api")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)

	server := httptest.NewUnstartedServer(mux)
	require.NoError(t, server.Listener.Close())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)

	return &apiserver.Client{Socket: socket}
}
