package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is a running binary.
type server struct {
	*sandbox
	cmd *exec.Cmd
	// url is how to reach it, without a slash at the end; that of a Unix
	// socket is unix:PATH.
	url            string
	stdout, stderr output
	ended          chan struct{}
	// judged: the test itself has checked how the server ended.
	judged bool
}

var accessible = regexp.MustCompile(`(?m)^Accessible via: +(.+)$`)

// start starts a server on a free port, unless the options say where. When the
// test ends, the server has to end in order on SIGTERM and to leave nothing
// behind.
func start(t testing.TB, l *launch) *server {
	t.Helper()
	return startIn(t, newSandbox(t), l)
}

func startIn(t testing.TB, box *sandbox, l *launch) *server {
	t.Helper()
	s := &server{sandbox: box, ended: make(chan struct{})}
	s.cmd = s.command(context.WithoutCancel(t.Context()), l)
	if !strings.Contains(strings.Join(l.args, " "), "--socket") && !strings.Contains(strings.Join(l.env, " "),
		"PASSENGER_SOCKET") {
		s.cmd.Args = append(s.cmd.Args, "--address", "127.0.0.1", "--port", "0")
	}

	s.run(t)
	s.stdout.await(t, "You can stop it", s.ended)
	banner := accessible.FindStringSubmatch(s.stdout.String())
	require.NotNil(t, banner, "%s", &s.stdout)
	s.url = strings.TrimSuffix(banner[1], "/")

	return s
}

func (s *server) run(t testing.TB) {
	t.Helper()
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	require.NoError(t, s.cmd.Start())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.ended)
	})
	t.Cleanup(func() {
		defer wg.Wait()
		defer func() { _ = s.cmd.Process.Kill() }() // if it is still there
		if !s.judged {
			s.stop(t)
		}

		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%.20000s", &s.stdout, &s.stderr)
		}
	})
}

// stop ends the server in order.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.judged = true
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 0)
	require.NotContains(t, s.stderr.String(), "panic", "%s", &s.stderr)
}

// requireExit waits for the end of the server and checks that nothing is left.
func (s *server) requireExit(t testing.TB, status int) {
	t.Helper()

	s.judged = true
	select {
	case <-s.ended:
	case <-time.After(deadline):
		require.FailNow(t, "the server does not end", "%s", &s.stderr)
	}

	require.Equal(t, status, s.cmd.ProcessState.ExitCode(), "%v\n%s", s.cmd.ProcessState, &s.stderr)
	s.requireClean(t)
}

func (s *server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(sig))
}

// core is the id of the process that serves.
func (s *server) core(t testing.TB) (core int) {
	t.Helper()
	eventually(t, func() error {
		if core = s.Core(s.cmd.Process.Pid); core == 0 {
			return errors.New("the watchdog has no core")
		}

		return nil
	})

	return core
}

// servingCore is the core that serves, which has been told to the tools. There may be
// another one, which finishes its requests.
func (s *server) servingCore(t testing.TB) int {
	t.Helper()
	pid, err := strconv.Atoi(string(readFile(t, filepath.Join(s.instance(t).Path, "core.pid"))))
	require.NoError(t, err)

	return pid
}

// apps are the ids of the application's processes.
func (s *server) apps(t testing.TB) []int {
	t.Helper()
	return s.Children(s.core(t))
}

// fds counts the core's file descriptors.
func (s *server) fds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(s.proc(t, "fd"))
	require.NoError(t, err)

	return len(entries)
}

// requireNoMoreFDs checks that the server gives back what it has beyond before
// and a little.
func (s *server) requireNoMoreFDs(t testing.TB, before int) {
	t.Helper()
	eventually(t, func() error {
		if now := s.fds(t); now > before+2 {
			return fmt.Errorf("%d file descriptors are open, %d were before", now, before)
		}

		return nil
	})
}

// peakMemory is the most that the core ever had in memory, in MB.
func (s *server) peakMemory(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(s.proc(t, "status"))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, m)
	kB, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)

	return kB >> 10
}

func (s *server) proc(t testing.TB, file string) string {
	t.Helper()
	return filepath.Join("/proc", strconv.Itoa(s.core(t)), file)
}
