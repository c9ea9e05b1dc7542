//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/boxed"
)

const (
	deadline = 30 * time.Second
	patience = 5 * time.Second // of the leak gate
	interval = 10 * time.Millisecond
	megabyte = 1 << 20
)

// server is a running binary.
type server struct {
	*boxed.Box
	cmd *exec.Cmd
	// addr is where it listens; app the application's directory.
	addr, app string
	log       output
	ended     chan struct{}
	// known is the core, once it was looked for: no test here kills it.
	known int
}

// launch says how to start a server.
type launch struct {
	// app is the application's directory; empty: an empty one.
	app  string
	args []string
	// shell is what a shell does before it becomes the server.
	shell string
}

var accessible = regexp.MustCompile(`(?m)^Accessible via: +http://(\S+)/$`)

// start starts a server with the application of this package.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	return (&launch{args: append(testApp(t), args...)}).start(t)
}

// start starts a server on a free port. When the test ends, the server has to
// end in order and to leave nothing behind.
func (l *launch) start(t testing.TB) *server {
	t.Helper()
	s := &server{Box: boxed.New(t, built), app: l.app, ended: make(chan struct{})}
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

	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...)
	s.cmd.Dir, s.cmd.Env, s.cmd.WaitDelay = s.Dir, s.Env(), patience
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	require.NoError(t, s.cmd.Start())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.ended)
	})
	t.Cleanup(func() {
		defer wg.Wait()
		defer func() { _ = s.cmd.Process.Kill() }() // if it is still there
		s.stop(t)
		if t.Failed() {
			t.Logf("the server's output:\n%.10000s", &s.log)
		}
	})
	s.await(t, "You can stop it", 1)
	banner := accessible.FindStringSubmatch(s.log.String())
	require.NotNil(t, banner, "%s", &s.log)
	s.addr = banner[1]

	return s
}

// stop ends the server in order, and checks that nothing is left.
func (s *server) stop(t testing.TB) {
	t.Helper()

	_ = s.cmd.Process.Signal(syscall.SIGTERM) // if it has ended, that is found below
	select {
	case <-s.ended:
	case <-time.After(deadline):
		t.Errorf("the server does not end")
		return
	}

	if status := s.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("the server ended with %v", s.cmd.ProcessState)
	}

	for _, bad := range []string{"panic", "DATA RACE"} {
		if strings.Contains(s.log.String(), bad) {
			t.Errorf("%q is in the server's output", bad)
		}
	}

	if err := awaited.Within(patience, s.Leftovers); err != nil {
		t.Error(err)
	}
}

// core is the id of the process that serves, which the watchdog has started.
func (s *server) core() (pid int) {
	if s.known == 0 {
		s.known = s.Core(s.cmd.Process.Pid)
	}

	return s.known
}

// apps are the ids of the application's processes: children of the core that run
// something else. Package os has it fork for a moment before its first process.
func (s *server) apps() []int {
	core := s.core()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", core))

	return slices.DeleteFunc(s.Children(core), func(pid int) bool {
		exe, exeErr := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err == nil && (exeErr != nil || exe == own)
	})
}

// requireApps waits until there are so many processes.
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
			return fmt.Errorf("process %d is still there", pid)
		}

		return nil
	})
}

// eventually waits until check returns nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	require.NoError(t, awaited.Within(patience, check))
}
