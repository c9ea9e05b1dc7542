package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// moody is a directory with moodyApp, which files in it hold up or break.
type moody struct {
	testing.TB
	dir string
}

func newMoody(t testing.TB, files ...string) *moody {
	t.Helper()
	m := &moody{TB: t, dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(m.dir, "app.js"), []byte(moodyApp), 0o600))

	for _, name := range files {
		m.mark(name)
	}

	return m
}

func (m *moody) mark(name string) {
	require.NoError(m, os.WriteFile(filepath.Join(m.dir, name), nil, 0o600))
}

func (m *moody) unmark(name string) { require.NoError(m, os.Remove(filepath.Join(m.dir, name))) }

func (m *moody) args(more ...string) []string {
	return append([]string{"--nodejs", interpreters.Find(m, "node", "node", "nodejs")}, more...)
}

// notifications are what a service manager would get.
func listenForNotifications(t testing.TB, box *sandbox) (env string, messages <-chan string) {
	t.Helper()
	path := filepath.Join(box.Dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	received := make(chan string, 100)
	go func() {
		defer close(received)

		for b := make([]byte, 4096); ; {
			n, err := l.Read(b)
			if err != nil {
				return
			}

			received <- string(b[:n])
		}
	}()

	return "NOTIFY_SOCKET=" + path, received
}

// awaitMessage returns the first message that is none for more time.
func awaitMessage(t testing.TB, messages <-chan string) string {
	t.Helper()

	late := time.After(deadline)
	for {
		select {
		case m := <-messages:
			if !strings.HasPrefix(m, "EXTEND_TIMEOUT_USEC=") {
				return m
			}
		case <-late:
			require.Fail(t, "the service manager hears nothing")
		}
	}
}

// TestReadinessWaitsForTheApplication looks at the terminal, the hook and systemd.
func TestReadinessWaitsForTheApplication(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "slow")
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	dir := t.TempDir()
	called := filepath.Join(dir, "calls")
	s := startIn(t, box, &launch{dir: m.dir, env: []string{env}, args: m.args(
		"--ctl", "hook_after_watchdog_initialization="+hook(t, dir, ""))})

	// It asks for more time, and says nothing else.
	select {
	case message := <-messages:
		require.Equal(t, "EXTEND_TIMEOUT_USEC=20000000", message)
	case <-time.After(deadline):
		require.Fail(t, "systemd was not asked for more time")
	}

	require.NotContains(t, s.Stdout.String(), "started in")
	require.NoFileExists(t, called)

	m.unmark("slow")
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	require.FileExists(t, called)
	s.Stdout.Await(t, m.dir+": started in ", 1, s.Ended)
	s.stop(t)
}

// TestStartFailureServesErrorPages: systemd does not hear that all is well, and the
// terminal shows what happens. The repaired application counts as ready.
func TestStartFailureServesErrorPages(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "broken")
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	s := startIn(t, box, &launch{dir: m.dir, env: []string{env}, args: m.args()})
	s.Stderr.Await(t, m.dir+": does not start: ", 1, s.Ended)
	require.Contains(t, s.Stderr.String(), "exit code 4")
	require.Equal(t, http.StatusInternalServerError, s.client(t).get(t, "/").StatusCode)
	require.Empty(t, messages)

	m.unmark("broken")
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
	s.stop(t)
}

// TestReadinessIsBoundByTheStartTimeout tells systemd then what is wrong.
func TestReadinessIsBoundByTheStartTimeout(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "slow")
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	s := startIn(t, box, &launch{dir: m.dir, env: []string{env}, args: m.args("--start-timeout", "2")})
	message := awaitMessage(t, messages)
	require.True(t, strings.HasPrefix(message, "STATUS="+m.dir+": "), message)
	require.True(t, strings.HasSuffix(message, "\nREADY=1"), message)
	s.stop(t)
}

func TestStartFailureMayEndTheServer(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "broken")
	box := newSandbox(t)
	args := m.args("--on-start-failure", "exit", "--address", "127.0.0.1", "--port", "0")
	out, err := box.command(t.Context(), &launch{dir: m.dir, args: args}).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), m.dir+": does not start: ")
	box.RequireClean(t)
}

func TestUnknownStartFailurePolicy(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	out, err := box.command(t.Context(), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--on-start-failure", "panic"),
	}).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `on_start_failure is "panic": it must be serve or exit`)
}

// startMoody starts an application in the background.
func (d *daemon) startMoody(t *testing.T, m *moody, args ...string) (output string, err error) {
	t.Helper()
	d.dir = m.dir

	return d.run(t, append([]string{
		"start", d.dir, "--daemonize", "--address", "127.0.0.1", "--port", d.port, "--envvar", d.Marker,
	}, m.args(args...)...)...)
}

func TestDaemonReturnsWhenTheApplicationServes(t *testing.T) {
	t.Parallel()
	m, d := newMoody(t, "slow"), newDaemon(t)
	type result struct {
		out string
		err error
	}
	returned := make(chan result, 1)
	go func() {
		out, err := d.startMoody(t, m)
		returned <- result{out, err}
	}()
	eventually(t, func() error { // it takes requests already
		conn, err := net.Dial("tcp", "127.0.0.1:"+d.port)
		if err != nil {
			return err
		}

		return conn.Close()
	})
	require.Empty(t, returned)

	m.unmark("slow")
	r := <-returned
	require.NoError(t, r.err, r.out)
	require.Contains(t, r.out, m.dir+": started in ")
	d.stop(t)
}

func TestDaemonWhoseApplicationDoesNotStart(t *testing.T) {
	t.Parallel()
	t.Run("serve", func(t *testing.T) {
		t.Parallel()
		m, d := newMoody(t, "broken"), newDaemon(t)
		out, err := d.startMoody(t, m)
		require.Error(t, err)
		require.Contains(t, out, m.dir+": does not start: ")
		require.Contains(t, out, "The server runs and serves error pages")
		c := (&server{sandbox: d.sandbox, url: d.url()}).client(t)
		require.Equal(t, http.StatusInternalServerError, c.get(t, "/").StatusCode)
		c.CloseIdleConnections()
		d.stop(t)
	})
	t.Run("exit", func(t *testing.T) {
		t.Parallel()
		m, d := newMoody(t, "broken"), newDaemon(t)
		out, err := d.startMoody(t, m, "--on-start-failure", "exit")
		require.Error(t, err)
		require.Contains(t, out, m.dir+": does not start: ")
		require.NotContains(t, out, "The server runs")
		d.RequireClean(t)
	})
}

// TestReloadIsAllOrNothing reloads a release that does not start, by the command and
// by SIGHUP: the processes stay the same, and no request waits.
func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	m := newMoody(t)
	box := newSandbox(t)
	env, messages := listenForNotifications(t, box)
	s := &server{sandbox: box}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
		dir:  m.dir,
		env:  []string{env},
		args: m.args("--min-instances", "2", "--address", "127.0.0.1", "--port", "0"),
	})
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // there is no terminal
	s.run(t)
	s.url = s.Address(t)
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	s.processed(t) // they serve: what is broken from now on is no part of their start
	core, apps := s.core(t), s.apps(t)
	l := s.load(t, 4, askOnce)

	m.mark("broken")
	out, err := s.reload(t)
	require.Error(t, err)
	require.Contains(t, out, "exit code 4")
	require.Contains(t, out, "the old one serves with")
	requireReloadNotified(t, messages, "STATUS=The reload has failed: ")
	s.signal(t, syscall.SIGHUP)
	requireReloadNotified(t, messages, "STATUS=The reload has failed: ")
	s.Stderr.Await(t, "cannot reload", 1, s.Ended)
	require.Equal(t, core, s.core(t))
	require.Equal(t, apps, s.apps(t))

	// While the next one boots, the old one serves.
	m.unmark("broken")
	m.mark("slow")
	s.signal(t, syscall.SIGHUP)
	require.Contains(t, awaitMessage(t, messages), "RELOADING=1\nMONOTONIC_USEC=")
	l.Progress(t, 100)
	require.Equal(t, apps, s.Apps(core))
	m.unmark("slow")
	require.Equal(t, "STATUS=\nREADY=1", awaitMessage(t, messages))
	l.Progress(t, 100)
	s.requireGone(t, core)
	s.requireApps(t, 2)

	for _, pid := range s.apps(t) {
		require.NotContains(t, apps, pid)
	}

	l.RequireNoneLost(t)
	s.stop(t)
}

// requireGone waits for the end of a process.
func (s *server) requireGone(t testing.TB, pid int) {
	t.Helper()
	eventually(t, func() error {
		if _, there := s.Processes()[pid]; there {
			return fmt.Errorf("the process %d is there", pid)
		}

		return nil
	})
}

func requireReloadNotified(t testing.TB, messages <-chan string, status string) {
	t.Helper()
	require.Contains(t, awaitMessage(t, messages), "RELOADING=1\nMONOTONIC_USEC=")
	end := awaitMessage(t, messages)
	require.True(t, strings.HasPrefix(end, status), end)
	require.True(t, strings.HasSuffix(end, "\nREADY=1"), end)
}

// TestReloadDoesNotWaitForWhatDidNotRun: an application that has had no process does
// not keep a repaired configuration from being used.
func TestReloadDoesNotWaitForWhatDidNotRun(t *testing.T) {
	t.Parallel()
	m := newMoody(t, "broken")
	writePassengerfile(t, m.dir, `{"friendly_error_pages": "false"}`)
	s := start(t, &launch{dir: m.dir, args: m.args()})
	s.Stderr.Await(t, "does not start", 1, s.Ended)
	core := s.servingCore(t)
	out, err := s.reload(t)
	require.NoError(t, err, out)
	require.NotEqual(t, core, s.servingCore(t), "the old one may still be ending")
	s.stop(t)
}

// TestNohupKeepsItsMeaning: SIGHUP does nothing.
func TestNohupKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	s := &server{sandbox: box}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--address", "127.0.0.1", "--port", "0"),
	})
	s.Cmd.Args = append([]string{"/bin/sh", "-c", `trap '' HUP; exec "$@"`, "sh", s.Cmd.Path}, s.Cmd.Args[1:]...)
	s.Cmd.Path = "/bin/sh"
	s.run(t)
	s.Stdout.Await(t, "started in", 1, s.Ended)
	s.url = s.Address(t)
	core := s.core(t)
	s.signal(t, syscall.SIGHUP)
	require.NoError(t, syscall.Kill(core, syscall.SIGHUP))

	for n := range 20 {
		require.Equal(t, http.StatusOK, s.client(t).get(t, fmt.Sprint("/", n)).StatusCode)
	}

	require.Equal(t, core, s.core(t))
	s.stop(t)
}
