//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/boxed"
)

const (
	deadline = 30 * time.Second
	interval = 10 * time.Millisecond
	megabyte = 1 << 20
)

// server is a running binary, whose log is in its output.
type server struct {
	*boxed.Box
	boxed.Program
	// addr is where it listens; app the application's directory.
	addr, app string
	// known is the core, once it was looked for: no test here kills it.
	known int
}

// launch says how to start a server.
type launch struct {
	// app is the application's directory; empty means an empty one.
	app  string
	args []string
	// shell is what a shell does before it becomes the server.
	shell string
}

// start starts a server with the application of this package.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	return (&launch{args: append(testApp(t), args...)}).start(t)
}

// start starts a server on a free port. When the test ends, the server has to
// end in order and to leave nothing behind.
func (l *launch) start(t testing.TB) *server {
	t.Helper()
	s := &server{Box: boxed.New(t, built), Program: boxed.Program{Merged: true}, app: l.app}
	if s.app == "" {
		s.app = filepath.Join(s.Dir, "app")
		require.NoError(t, os.Mkdir(s.app, 0o700))
	}

	argv := append([]string{
		filepath.Join(built, "passenger"), "start", s.app, "--envvar", s.Marker, "--address",
		"127.0.0.1", "--port", "0", "--http2-cleartext",
	}, l.args...)
	if l.shell != "" {
		argv = append([]string{"/bin/sh", "-c", l.shell + `; exec "$@"`, "sh"}, argv...)
	}

	s.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...)
	s.Cmd.Dir, s.Cmd.Env = s.Dir, s.Env()
	s.Start(t, func() {
		s.Stop(t)
		s.RequireClean(t)
	})
	s.addr = strings.TrimPrefix(s.Address(t), "http://")

	return s
}

// core is the id of the process that serves, which the watchdog has started.
func (s *server) core() (pid int) {
	if s.known == 0 {
		s.known = s.Core(s.Cmd.Process.Pid)
	}

	return s.known
}

// apps are the ids of the application's processes.
func (s *server) apps() []int { return s.Apps(s.core()) }

// requireApps waits until there are n processes.
func (s *server) requireApps(t testing.TB, count int) []int {
	t.Helper()
	var apps []int
	eventually(t, func() error {
		if apps = s.apps(); len(apps) != count {
			return fmt.Errorf("there are the processes %v, not %d", apps, count)
		}

		return nil
	})

	return apps
}

// requireGone waits until a process has ended and was reaped: one that is just
// ending may still have its sockets.
func (*server) requireGone(t testing.TB, pid int) {
	t.Helper()
	eventually(t, func() error {
		if syscall.Kill(pid, 0) == nil {
			state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may end now
			return fmt.Errorf("process %d is still there:\n%.300s", pid, state)
		}

		return nil
	})
}

// eventually waits until check returns nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	require.NoError(t, awaited.Within(boxed.Patience, check))
}
