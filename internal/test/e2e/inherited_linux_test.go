package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// looked is what a program is started with.
type looked struct {
	environ map[string]string
	ignored uint64
	fds     []string
}

// lookAt looks at a process that lives.
func lookAt(t testing.TB, pid int) looked {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/", pid)
	environ, err := os.ReadFile(dir + "environ")
	require.NoError(t, err)
	status, err := os.ReadFile(dir + "status")
	require.NoError(t, err)

	l := looked{environ: map[string]string{}}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		l.environ[name] = value
	}

	_, mask, ok := strings.Cut(string(status), "SigIgn:\t")
	require.True(t, ok)
	l.ignored, err = strconv.ParseUint(mask[:16], 16, 64)
	require.NoError(t, err)

	fds, err := os.ReadDir(dir + "fd")
	require.NoError(t, err)

	for _, fd := range fds {
		to, err := os.Readlink(dir + "fd/" + fd.Name())
		require.NoError(t, err)
		l.fds = append(l.fds, to)
	}

	return l
}

// Whatever starts the server, a shell in the background, a service manager or a program of Node.js, none of what it
// left to the server is for a program that the server starts.
func TestProgramsInheritNothingThatIsForTheServer(t *testing.T) {
	t.Parallel()
	dir, seen := t.TempDir(), t.TempDir()
	writePassengerfile(t, dir, `{"companions": {"worker": {"command": "sleep 1000"}}}`)

	secret := filepath.Join(seen, "secret")
	require.NoError(t, os.WriteFile(secret, nil, 0o600))

	// A hook waits until it has been looked at.
	fifo := filepath.Join(seen, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	script := filepath.Join(seen, "hook")
	text := fmt.Sprintf("#!/bin/sh\necho $$ >%s/$PASSENGER_HOOK_NAME.pid\nread line <%s\n", seen, fifo)
	require.NoError(t, boxed.WriteProgram(script, []byte(text), 0o700))

	args := append(testApp(t), "--ctl", "hook_before_watchdog_initialization="+script, "--ctl",
		"hook_attached_process="+script)
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(t.Context(), &launch{
		dir:  dir,
		args: args,
		env: []string{
			"NODE_CHANNEL_FD=9", "NODE_CHANNEL_SERIALIZATION_MODE=json", "NODE_UNIQUE_ID=1", "MALLOC_CHECK_=3",
			"PASSENGER_GUPID=another-server", "OTEL_EXPORTER_OTLP_HEADERS=key=secret", "JOURNAL_STREAM=1:2",
			"WATCHDOG_USEC=1000000000",
		},
		change: func(cmd *exec.Cmd) {
			cmd.Args = append([]string{
				"sh", "-c", `trap "" HUP INT; exec 9<"$0"; shift; exec "$@"`, secret, "", cmd.Path,
			}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
		},
	})
	s.run(t)

	check := func(what string, pid int) {
		t.Helper()
		l := lookAt(t, pid)
		require.Zero(t, l.ignored&(1<<(syscall.SIGHUP-1)|1<<(syscall.SIGINT-1)), "%s ignores signals", what)
		require.NotContains(t, l.fds, secret, what)

		for _, name := range []string{
			"NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID", "MALLOC_CHECK_",
			"OTEL_EXPORTER_OTLP_HEADERS", "JOURNAL_STREAM", "WATCHDOG_USEC",
		} {
			require.NotContains(t, l.environ, name, what)
		}

		require.NotEqual(t, "another-server", l.environ["PASSENGER_GUPID"], what)
	}
	checkHook := func(name string) {
		t.Helper()
		var pid int
		eventually(t, func() error {
			text, err := os.ReadFile(filepath.Join(seen, name+".pid"))
			if err == nil {
				_, err = fmt.Sscan(string(text), &pid)
			}

			return err
		})
		check("the hook "+name, pid)
		require.NoError(t, os.WriteFile(fifo, []byte("go on\n"), 0o600))
	}

	checkHook("before_watchdog_initialization")
	s.url = s.Address(t)
	s.client(t).get(t, "/")
	check("the application", s.apps(t)[0])
	checkHook("attached_process")
	check("the companion", s.awaitCompanion(t, "worker", 1)[0])
	check("the guard", s.guard(t))
	s.stop(t)
}

// guard returns the shell that ends programs if the server is killed.
func (s *server) guard(t testing.TB) (pid int) {
	t.Helper()
	core := fmt.Sprintf("\nPPid:\t%d\n", s.core(t))
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)

	for _, e := range entries {
		dir := filepath.Join("/proc", e.Name())
		// Others come and go meanwhile.
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		status, _ := os.ReadFile(filepath.Join(dir, "status"))
		if strings.Contains(string(command), "passenger-guard") && strings.Contains(string(status), core) {
			pid, err = strconv.Atoi(e.Name())
			require.NoError(t, err)
		}
	}

	require.NotZero(t, pid)

	return pid
}
