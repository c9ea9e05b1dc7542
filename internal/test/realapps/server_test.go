package realapps_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/boxed"
)

// server is passenger start, in an application's directory.
type server struct {
	*workshop
	// client is the first user, with cookies.
	*client
	boxed.Program
	url string
	*evidence
}

// start runs passenger start in the application's directory, as a newcomer does,
// and waits until the application serves. At the end of the test the server has to
// end in order, and to leave nothing behind.
func (w *workshop) start(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{workshop: w, Program: boxed.Program{Merged: true}, evidence: newEvidence(t, args)}
	args = append([]string{"start", "--address", "127.0.0.1", "--port", "0", "--envvar", w.Marker}, args...)
	s.Cmd = w.command(context.WithoutCancel(t.Context()), filepath.Join(built, "passenger"), args...)
	s.Start(t, func() { s.stop(t) })
	s.Await(t, "started in", 1)
	s.url = s.Address(t)
	s.client = s.newClient(t)

	return s
}

// stop ends the server in order, and looks for what it leaves behind.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.RequireClean(t)
}

// pids are those of the processes that take requests.
func (s *server) pids(t testing.TB) []int {
	t.Helper()
	out, err := s.passenger(t, "status", "--show=snapshot")
	require.NoError(t, err, out)
	var snapshot struct {
		Groups []struct {
			Processes []struct {
				PID   int    `json:"pid"`
				State string `json:"state"`
			} `json:"processes"`
		} `json:"groups"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &snapshot), out)

	var pids []int
	for _, group := range snapshot.Groups {
		for _, process := range group.Processes {
			if process.State == "enabled" {
				pids = append(pids, process.PID)
			}
		}
	}

	require.NotEmpty(t, pids, out)

	return pids
}

// awaitProcesses waits until n processes take requests. A start is over when there is
// one.
func (s *server) awaitProcesses(t testing.TB, n int) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, func() error {
		if pids := s.pids(t); len(pids) != n {
			return fmt.Errorf("%d processes take requests, not %d", len(pids), n)
		}

		return nil
	}))
}

// restartUnderLoad restarts the application while clients ask for a page. No request
// may fail, and all processes must be new.
func (s *server) restartUnderLoad(t testing.TB, page, part string) {
	t.Helper()
	const before, after = 20, 20
	old := s.pids(t)
	l := s.load(t, page, part)
	l.Progress(t, before)

	out, err := s.passenger(t, "restart-app", s.dir, "--rolling-restart", "--wait")
	require.NoError(t, err, out)
	l.Progress(t, after)
	l.RequireNoneLost(t)

	for _, pid := range s.pids(t) {
		require.NotContains(t, old, pid, "a process was not restarted")
	}

	s.add(restarted)
}
