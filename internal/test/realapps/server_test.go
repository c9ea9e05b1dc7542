package realapps_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/printed"
)

// patience is how long what a server started may take to be gone after it.
const patience = 5 * time.Second

// server is passenger start, in an application's directory.
type server struct {
	*workshop
	// client is the first user, with cookies.
	*client
	cmd            *exec.Cmd
	url            string
	stdout, stderr printed.Output
	ended          chan struct{}
}

var accessible = regexp.MustCompile(`(?m)^Accessible via: +(.+)$`)

// start runs passenger start in the application's directory, as a newcomer does,
// and waits until the application serves. At the end of the test the server has to
// end in order, and to leave nothing behind.
func (w *workshop) start(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{workshop: w, ended: make(chan struct{})}
	args = append([]string{"start", "--address", "127.0.0.1", "--port", "0", "--envvar", w.Marker}, args...)
	s.cmd = w.command(context.WithoutCancel(t.Context()), filepath.Join(built, "passenger"), args...)
	s.cmd.WaitDelay = patience
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	require.NoError(t, s.cmd.Start())

	var waited sync.WaitGroup
	waited.Go(func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.ended)
	})
	t.Cleanup(func() {
		defer waited.Wait()
		defer func() { _ = s.cmd.Process.Kill() }() // if it is still there
		s.stop(t)
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%.20000s", &s.stdout, &s.stderr)
		}
	})

	s.awaitPrinted(t, "started in")
	banner := accessible.FindStringSubmatch(s.stdout.String())
	require.NotNil(t, banner, "%s", &s.stdout)
	s.url = strings.TrimSuffix(banner[1], "/")
	s.client = s.newClient(t)

	return s
}

// awaitPrinted waits until the server has printed a text.
func (s *server) awaitPrinted(t testing.TB, text string) {
	t.Helper()

	timeout := time.After(deadline)
	for {
		inOut, more := s.stdout.Count(text)
		inErr, moreErr := s.stderr.Count(text)
		if inOut+inErr > 0 {
			return
		}

		select {
		case <-more:
		case <-moreErr:
		case <-s.ended:
			require.FailNow(t, "the server ended", "%s\n%s", &s.stdout, &s.stderr)
		case <-timeout:
			require.FailNow(t, "not printed: "+text, "%s\n%s", &s.stdout, &s.stderr)
		}
	}
}

// stop ends the server in order, and looks for what it leaves behind.
func (s *server) stop(t testing.TB) {
	t.Helper()

	select {
	case <-s.ended:
		return
	default:
	}

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))

	select {
	case <-s.ended:
	case <-time.After(deadline):
		require.FailNow(t, "the server does not end")
	}

	require.Zero(t, s.cmd.ProcessState.ExitCode())
	require.NotContains(t, s.stderr.String(), "panic")
	require.NoError(t, awaited.Within(patience, s.Leftovers))
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
	l.progress(t, before)

	out, err := s.passenger(t, "restart-app", s.dir, "--rolling-restart", "--wait")
	require.NoError(t, err, out)
	l.progress(t, after)
	l.requireNoneLost(t)

	for _, pid := range s.pids(t) {
		require.NotContains(t, old, pid, "a process was not restarted")
	}
}
