package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// hook makes a script that adds a line to the file "calls" in its directory.
func hook(t *testing.T, dir, more string) (script string) {
	t.Helper()
	script = filepath.Join(dir, "hook")
	text := fmt.Sprintf("#!/bin/sh\necho \"$PASSENGER_HOOK_NAME $PASSENGER_PROCESS_PID $PASSENGER_APP_ROOT "+
		"$PASSENGER_VERSION $PASSENGER_PASSENGER_ROOT\" >>%s/calls\n%s\n", dir, more)
	require.NoError(t, boxed.WriteProgram(script, []byte(text), 0o700))

	return script
}

// The example of Passenger's page on hooks, and what it leaves in the log.
func TestHooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := hook(t, dir, "echo printed by the hook")
	names := []string{
		"before_watchdog_initialization", "after_watchdog_initialization", "attached_process",
		"before_watchdog_shutdown", "detached_process", "after_watchdog_shutdown",
	}

	args := make([]string, 0, 2*len(names))
	for _, name := range names {
		args = append(args, "--ctl", "hook_"+name+"="+script)
	}

	app := t.TempDir()
	s := start(t, &launch{dir: app, args: append(testApp(t), args...)})
	s.client(t).get(t, "/")
	pid := s.apps(t)[0]
	s.Stderr.Await(t, "Running attached_process hook script", 1, s.Ended)
	s.Stderr.Await(t, "exited with status 0", 3, s.Ended)
	s.stop(t)
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)

	var called []string
	for line := range strings.Lines(string(calls)) {
		fields := strings.Fields(line)
		called = append(called, fields[0])
		if strings.HasSuffix(fields[0], "_process") {
			require.Equal(t, []string{fmt.Sprint(pid), app}, fields[1:3])
		}

		require.Equal(t, built, fields[len(fields)-1], "the directory of the program")
	}

	require.Len(t, called, len(names))
	slices.Sort(called[1:3]) // both come when the process serves
	require.Equal(t, names, called)
}

// Hooks get the options of the last reload, those of the watchdog as those of the core.
func TestHooksGetTheOptionsOfAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePassengerfile(t, dir, `{"max_pool_size": 2}`)
	sizes := filepath.Join(t.TempDir(), "sizes")
	script := hook(t, t.TempDir(), fmt.Sprintf(`echo "$PASSENGER_HOOK_NAME $PASSENGER_MAX_POOL_SIZE" >>%s`, sizes))
	args := testApp(t)

	for _, name := range []string{"before_watchdog_initialization", "detached_process", "after_watchdog_shutdown"} {
		args = append(args, "--ctl", "hook_"+name+"="+script)
	}

	s := start(t, &launch{dir: dir, args: args})
	writePassengerfile(t, dir, `{"max_pool_size": 3}`)
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
	s.stop(t)

	told, err := os.ReadFile(sizes)
	require.NoError(t, err)
	require.Contains(t, string(told), "before_watchdog_initialization 2\n")
	require.Contains(t, string(told), "detached_process 3\n")
	require.Contains(t, string(told), "after_watchdog_shutdown 3\n")
}

// A hook of the watchdog that fails aborts what it is for.
// Faults: G2.
func TestFailedWatchdogHookAbortsTheStart(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"before_watchdog_initialization", "after_watchdog_initialization"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := newSandbox(t)
			args := append(testApp(t), "--address", "127.0.0.1", "--port", "0", "--ctl", "hook_"+name+"="+
				hook(t, t.TempDir(), "exit 3"))
			out, err := box.command(t.Context(), &launch{dir: t.TempDir(), args: args}).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), name)
			require.Contains(t, string(out), "status 3")
			box.RequireClean(t)
		})
	}

	t.Run("after_watchdog_shutdown", func(t *testing.T) {
		t.Parallel()
		s := start(t, &launch{
			dir:  t.TempDir(),
			args: append(testApp(t), "--ctl", "hook_after_watchdog_shutdown="+hook(t, t.TempDir(), "exit 3")),
		})
		s.client(t).get(t, "/")
		s.signal(t, syscall.SIGTERM)
		s.requireExit(t, 1)
		require.Contains(t, s.Stderr.String(), "after_watchdog_shutdown")
		require.NotContains(t, s.Stderr.String(), "forced", "no request was lost")
	})
	t.Run("attached_process", func(t *testing.T) {
		t.Parallel()
		s := start(t, &launch{
			dir:  t.TempDir(),
			args: append(testApp(t), "--ctl", "hook_attached_process="+hook(t, t.TempDir(), "exit 3")),
		})
		s.client(t).get(t, "/")
		s.Stderr.Await(t, "exited with status 3", 1, s.Ended)
		s.client(t).get(t, "/")
	})
}

// A hook that does not exist is refused before anything is started.
func TestUnknownHook(t *testing.T) {
	t.Parallel()
	line := refuse(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--ctl", "hook_attached=/bin/true")})
	require.Contains(t, line, "there is no hook \"hook_attached\"")
}
