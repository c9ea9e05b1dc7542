package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ctrl-C reaches the process group of the terminal's foreground. Neither the
// core nor applications belong to it.
// Faults: E15.
func TestCtrlCReachesNeitherCoreNorApplications(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	s.client(t).get(t, "/")
	group, err := syscall.Getpgid(s.Cmd.Process.Pid)
	require.NoError(t, err)

	for _, pid := range append(s.apps(t), s.core(t)) {
		other, err := syscall.Getpgid(pid)
		require.NoError(t, err)
		require.NotEqual(t, group, other)
	}
}

// Signals that mean nothing do nothing, however many there are.
// Faults: F10.
func TestSignalStormChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	c := s.client(t)
	c.get(t, "/")

	core, app := s.core(t), s.apps(t)[0]
	for range 1000 {
		for _, pid := range []int{s.Cmd.Process.Pid, core} {
			for _, sig := range []syscall.Signal{
				syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGPIPE,
				syscall.SIGCONT,
			} {
				require.NoError(t, syscall.Kill(pid, sig))
			}
		}
	}

	require.Equal(t, "app: GET /", c.get(t, "/").body)
	require.Equal(t, core, s.core(t))
	require.Equal(t, []int{app}, s.apps(t))
}

// Closed standard files are not taken by others.
// Faults: F13.
func TestClosedStandardFilesAreNotReused(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	box := newSandbox(t)
	s := &server{sandbox: box, url: "http://127.0.0.1:" + port}
	s.Cmd = box.command(context.WithoutCancel(t.Context()), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--address", "127.0.0.1", "--port", port),
	})
	s.Cmd.Args = append([]string{"/bin/sh", "-c", `exec "$@" <&- >&- 2>&-`, "sh", s.Cmd.Path}, s.Cmd.Args[1:]...)
	s.Cmd.Path = "/bin/sh"
	s.run(t)
	c := s.client(t)
	eventually(t, func() error { return askOnce(t.Context(), c) })
	c.CloseIdleConnections()
	s.stop(t)
}

// What ends the server in order, and loses no request.
func TestSignalsThatLetRequestsFinish(t *testing.T) {
	t.Parallel()

	for name, signals := range map[string][]syscall.Signal{
		// Programs such as timeout send a signal to the server and to its process group: it is one request for an end,
		// not two. They are different ones here, as the kernel makes one of the same.
		"two at once": {syscall.SIGTERM, syscall.SIGINT},
		// nginx, unicorn and php-fpm end in order by it, and their images of containers name it as the signal to stop.
		"SIGQUIT": {syscall.SIGQUIT},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
			held := s.client(t).background(t, "/hold")
			s.Stderr.Await(t, heldText(1), 1, s.Ended)

			for _, signal := range signals {
				s.signal(t, signal)
			}

			s.Stdout.Await(t, stopping, 1, s.Ended)
			signalAll(t, syscall.SIGUSR1, s.apps(t)...)
			a := <-held
			require.NoError(t, a.err)
			require.Equal(t, http.StatusOK, a.StatusCode)
			s.requireExit(t, 0)
			require.NotContains(t, s.Stderr.String(), "goroutine")
		})
	}
}

// Whoever comes from unicorn, gunicorn or Puma sends the signals of these: no request is lost, and a line says what to
// do instead.
func TestSignalsOfOtherServersSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--address", "127.0.0.1", "--port", "0"),
	})
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // there is no terminal
	s.run(t)
	s.url = s.Address(t)
	c := s.client(t)
	c.get(t, "/")

	for sig, advice := range map[syscall.Signal]string{
		syscall.SIGUSR2: "SIGUSR2 does nothing here: 'passenger restart-app' restarts applications",
		syscall.SIGTTIN: "SIGTTIN does nothing here: the number of processes is that of the options",
		syscall.SIGTTOU: "SIGTTOU does nothing here: the number of processes is that of the options",
	} {
		s.signal(t, sig)
		s.Stdout.Await(t, advice, 1, s.Ended)
	}

	require.Equal(t, "app: GET /", c.get(t, "/").body)
	c.CloseIdleConnections()
	s.stop(t)
}

// systemd sends SIGTERM to all processes of a unit, unless its KillMode is mixed, so that the core gets it beside the
// word of the watchdog. That is one request to end.
func TestSignalToWatchdogAndCoreLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + freePort(t)
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--metrics-address", address)})
	status := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	c := s.client(t)
	c.get(t, "/")
	core, app := s.core(t), s.apps(t)[0]

	held := s.client(t).background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	s.signal(t, syscall.SIGTERM)
	eventually(t, func() error {
		if a := status.get(t, "/readyz"); a.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("the server is %s", a.Status)
		}

		return nil
	})
	require.NoError(t, syscall.Kill(core, syscall.SIGTERM))
	require.Equal(t, http.StatusOK, status.get(t, "/livez").StatusCode)
	require.NoError(t, syscall.Kill(app, syscall.SIGUSR1))
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode)
	status.CloseIdleConnections()
	c.CloseIdleConnections()
	s.requireExit(t, 0)
}
