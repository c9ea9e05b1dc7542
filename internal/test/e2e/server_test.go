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
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/printed"
)

// server is a running binary.
type server struct {
	*sandbox
	boxed.Program
	// url is how to reach it, without a slash at the end; that of a Unix
	// socket is unix:PATH.
	url string
}

// start starts a server on a free port, unless the options say where. When the
// test ends, the server has to end in order on SIGTERM and to leave nothing
// behind.
func start(t testing.TB, l *launch) *server {
	t.Helper()
	return startIn(t, newSandbox(t), l)
}

func startIn(t testing.TB, box *sandbox, l *launch) *server {
	t.Helper()
	s := &server{sandbox: box}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), l)
	s.run(t)
	s.url = s.Address(t)

	return s
}

func (s *server) run(t testing.TB) {
	t.Helper()
	s.Start(t, func() { s.stop(t) })
}

// stop ends the server in order.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 0)
	s.RequireNoCrash(t)
}

// requireExit waits for the end of the server and checks that nothing is left.
func (s *server) requireExit(t testing.TB, status int) {
	t.Helper()
	s.RequireExit(t, status)
	s.RequireClean(t)
}

func (s *server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.Signal(t, sig)
}

// follow has passenger logs -f print to to, until end is called. ended is closed if it ends.
func (s *server) follow(t testing.TB, to *printed.Output, args ...string) (ended <-chan struct{}, end func()) {
	t.Helper()
	args = append([]string{"logs", "-f"}, args...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env()
	cmd.Stdout, cmd.Stderr = to, to
	require.NoError(t, cmd.Start())

	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(done)
	}()

	return done, func() {
		t.Helper()
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		<-done
		require.Equal(t, 128+int(syscall.SIGINT), cmd.ProcessState.ExitCode(), "%s", to)
	}
}

// core is the id of the process that serves.
func (s *server) core(t testing.TB) (core int) {
	t.Helper()
	eventually(t, func() error {
		if core = s.Core(s.Cmd.Process.Pid); core == 0 {
			return errors.New("the watchdog has no core")
		}

		return nil
	})

	return core
}

// servingCore is the core that serves, which the tools know. There may be
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
	return s.Apps(s.core(t))
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

// littleGarbage is for a server whose peakMemory counts: by itself it lets up to four times as much garbage lie as
// it uses, which is most of the peak where processors are scarce.
func littleGarbage() []string { return []string{"GOGC=100"} }

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
