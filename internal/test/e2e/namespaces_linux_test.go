package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// prepared makes a shell run a script, in a mount namespace of its own, before it
// becomes the server.
func prepared(script string) func(cmd *exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-ec", script + "\n" + `exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
}

// requirePrepared ends the test where the script may not do what it is to do, as in
// some containers.
func requirePrepared(t testing.TB, script string) {
	t.Helper()
	requireRoot(t)
	cmd := exec.CommandContext(t.Context(), "true")
	prepared(script)(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		interpreters.Missing(t, "root", fmt.Sprintf("cannot prepare by %q: %v: %s", script, err, out))
	}
}

// asNobody is the end of a script for prepared: what it becomes runs as the user nobody,
// who is in no group.
var asNobody = fmt.Sprintf(`set -- setpriv --reuid %d --regid %d --clear-groups "$@"`, nobodyUID, nobodyUID)

// newNobodysSandbox is one that the user nobody can use, and the test's application in it.
func newNobodysSandbox(t testing.TB) (box *sandbox, args []string) {
	t.Helper()

	box = newFlyingSandbox(t)
	for _, dir := range []string{box.Tmp, box.Home} {
		require.NoError(t, os.Chown(dir, nobodyUID, nobodyUID))
	}

	path, err := tenantBinary()
	require.NoError(t, err)

	return box, []string{"--start-command", path, "--envvar", "GORACE=atexit_sleep_ms=0", "--envvar", appVar + "=1"}
}

// startForNobody starts a server as the user nobody, after a script that root runs.
func startForNobody(t testing.TB, script string, args ...string) *server {
	t.Helper()
	requirePrepared(t, script+asNobody)
	box, app := newNobodysSandbox(t)

	return startIn(t, box, &launch{
		dir:    box.publicDir(t),
		args:   append(app, args...),
		change: prepared(script + asNobody),
	})
}

// statusText is what the tools show.
func (s *server) statusText(t testing.TB) string {
	t.Helper()
	text, err := s.admin(t, instancedir.CoreAPI).Call(t.Context(), http.MethodGet, "/pool.txt", nil)
	require.NoError(t, err)

	return string(text)
}

var readUse = regexp.MustCompile(`CPU: +\d+% +Memory  : +[1-9]\d*M `)

// Without /proc the server serves, or reports that it cannot; what it does not
// know is not shown as nothing.
// Faults: F12.
func TestServerWithoutProcServesOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	const script = "mount -t tmpfs none /proc"
	requirePrepared(t, script)
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t), change: prepared(script)})
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.Contains(t, s.statusText(t), "CPU: n/a     Memory  : n/a ")

	// It finds no others' processes, but an application ends with its core.
	core := s.core(t)
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.NotEqual(t, core, s.core(t))
	s.requireApps(t, 1)
}

// A preloader's processes cannot be identified without /proc, so that each is started by itself.
// Faults: F12.
func TestRubyServesWithoutProc(t *testing.T) {
	t.Parallel()
	const script = "mount -t tmpfs none /proc"
	requirePrepared(t, script)

	dir := t.TempDir()
	args := rackArgs(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.ru"),
		[]byte("run lambda { |env| [200, {}, ['served']] }\n"), 0o600))

	s := start(t, &launch{dir: dir, args: args, change: prepared(script)})
	require.Equal(t, "served", s.client(t).get(t, "/").body)
}

// A user who sees only his own processes in /proc.
// Faults: F12.
func TestServerServesWithHiddenProcesses(t *testing.T) {
	t.Parallel()
	s := startForNobody(t, "mount -t proc -o hidepid=2 proc /proc; ")
	c := s.client(t)
	require.Equal(t, "app: GET /", c.get(t, "/").body)
	require.NotContains(t, s.statusText(t), "Memory  : 0M")
	s.requireUseShown(t)
	app := s.apps(t)[0]
	require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.NotContains(t, s.apps(t), app)
	s.requireApps(t, 1)
}

// requireUseShown waits until the processes were looked at, which takes longer
// than eventually waits.
func (s *server) requireUseShown(t testing.TB) {
	t.Helper()
	eventuallyWithin(t, deadline, func() error {
		if text := s.statusText(t); !readUse.MatchString(text) {
			return errors.New(text)
		}

		return nil
	})
}

// Users without a name can run a server.
// Faults: F12.
func TestUserWithoutNameCanRunAServer(t *testing.T) {
	t.Parallel()
	s := startForNobody(t, "mount --bind /dev/null /etc/passwd; mount --bind /dev/null /etc/group; ",
		"--load-shell-envvars")
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.Contains(t, s.statusText(t), "* PID: "+strconv.Itoa(s.apps(t)[0]))
}

// A user who is asked for and not in the user database is named.
// Faults: F12.
func TestFlyingNamesUserWhoIsNotInTheDatabase(t *testing.T) {
	t.Parallel()
	const script = "mount --bind /dev/null /etc/passwd"
	requirePrepared(t, script)

	for _, option := range []string{"--user", "--default-user"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			box := newFlyingSandbox(t)
			cmd := box.flyingCommand(t, option, "bin")
			prepared(script)(cmd)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", out)
			require.Contains(t, string(out), "passenger: ")
			require.Contains(t, string(out), "unknown user bin")
			if option == "--user" {
				require.Contains(t, string(out), "without this option")
			}

			box.RequireClean(t)
		})
	}
}

// A process that takes from the server the right to connect to it is replaced,
// for which requests wait; one that it has gets its response.
// Faults: F12.
func TestProcessThatDeniesConnectionsIsReplaced(t *testing.T) {
	t.Parallel()
	s := startForNobody(t, "", "--environment", "production")
	c := s.client(t)
	require.Equal(t, "app: GET /", c.get(t, "/").body)
	held := c.background(t, "/hold") // on the connection that there is
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	app := s.apps(t)[0]
	sockets, err := filepath.Glob(filepath.Join(s.instance(t).Path, "apps.s", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, sockets)

	for _, path := range sockets {
		require.NoError(t, os.Chmod(path, 0))
	}

	a := c.get(t, "/")
	require.Equal(t, "app: GET /", a.body)
	require.NotEqual(t, strconv.Itoa(app), a.Header.Get("X-Pid"))
	s.Stderr.Await(t, "permission denied", 1, s.Ended)
	require.Contains(t, s.Stderr.String(), fmt.Sprintf("cannot connect to process %d of ", app))
	signalAll(t, syscall.SIGUSR1, app)
	first := <-held
	require.NoError(t, first.err)
	require.Equal(t, strconv.Itoa(app), first.body)
	eventually(t, func() error {
		if strings.Contains(s.statusText(t), fmt.Sprintf("* PID: %d ", app)) {
			return errors.New("the process is still there")
		}

		return nil
	})
}

// In a network namespace without loopback, no program can be reached by TCP: the error says that, and the way that is
// left works.
func TestNamespaceWithoutLoopback(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	alone := func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET} }
	probe := exec.CommandContext(t.Context(), "true")
	alone(probe)
	if out, err := probe.CombinedOutput(); err != nil {
		interpreters.Missing(t, "root", fmt.Sprintf("cannot have a network namespace: %v: %s", err, out))
	}

	python := interpreters.Find(t, "python", "python3")
	serve := func(command string, args ...string) *server {
		return start(t, &launch{dir: t.TempDir(), change: alone, args: append([]string{
			"--start-command", python + " -c '" + command + "'",
			"--min-instances", "1", "--start-timeout", "3",
		}, args...)})
	}

	s := serve(`import http.server, os; http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), ` +
		`http.server.SimpleHTTPRequestHandler).serve_forever()`)
	s.Stderr.Await(t, "could not be reached within 3s", 1, s.Ended)
	require.Contains(t, s.Stderr.String(), "network is unreachable")
	require.Contains(t, s.Stderr.String(), "ip link set lo up")
	s.stop(t)

	s = serve(`import socket, time; l = socket.socket(socket.AF_UNIX); ` +
		`l.bind("'$SOCKET'"); l.listen(); time.sleep(600)`)
	s.Stdout.Await(t, "started in", 1, s.Ended)
	s.stop(t)
}
