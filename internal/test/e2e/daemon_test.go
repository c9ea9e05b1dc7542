package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// freePort returns a port that no program listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)

	return port
}

// daemon is a server in the background.
type daemon struct {
	*sandbox
	dir, port string
}

// run runs a command of the binary to its end.
func (d *daemon) run(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := d.command(t.Context(), &launch{})
	cmd.Args = append(cmd.Args[:1], args...)
	out, err := cmd.CombinedOutput()

	return string(out), err
}

func (d *daemon) start(t *testing.T) (output string, err error) {
	t.Helper()

	return d.run(t, append([]string{
		"start", d.dir, "--daemonize", "--address", "127.0.0.1", "--port", d.port, "--envvar", d.Marker,
	}, testApp(t)...)...)
}

func (d *daemon) stop(t *testing.T) {
	t.Helper()
	out, err := d.run(t, "stop", d.dir, "--port", d.port)
	require.NoError(t, err, out)
	d.RequireClean(t)
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	return &daemon{sandbox: newSandbox(t), dir: t.TempDir(), port: freePort(t)}
}

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

func (d *daemon) content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(d.path(name))
	require.NoError(t, err)

	return string(b)
}

func (d *daemon) url() string { return "http://127.0.0.1:" + d.port }

// The server of a directory is found without its pid file, which was in a release that was removed, or is where it
// would not be made now.
func TestStopOfAServerWhosePIDFileIsElsewhere(t *testing.T) {
	t.Parallel()

	for name, move := range map[string]func(t *testing.T, current string){
		"another release": func(t *testing.T, current string) {
			t.Helper()
			first, err := filepath.EvalSymlinks(current)
			require.NoError(t, err)
			next := t.TempDir()
			require.NoError(t, os.Symlink(next, current+".new"))
			require.NoError(t, os.Rename(current+".new", current))
			require.NoError(t, os.RemoveAll(first))
		},
		"another directory for such files": func(t *testing.T, current string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(current, "tmp", "pids"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t)
			current := filepath.Join(t.TempDir(), "current")
			require.NoError(t, os.Symlink(d.dir, current))
			d.dir = current
			out, err := d.start(t)
			require.NoError(t, err, out)
			require.Contains(t, out, "'passenger stop "+current+" --port "+d.port+" --instance-registry-dir ")
			move(t, current)

			out, err = d.run(t, "stop", current, "--port", freePort(t))
			require.Error(t, err)
			require.Regexp(t, `there is no pid file [^\n]*\n[^\n]*is served by the process \d+ on `+d.url(), out)

			out, err = d.run(t, "status", current, "--port", d.port)
			require.NoError(t, err, out)
			require.Contains(t, out, "Passenger is running on PID ")
			d.stop(t)
		})
	}
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	pidFile, logFile := "passenger."+d.port+".pid", "passenger."+d.port+".log"
	out, err := d.start(t)
	require.NoError(t, err, out)
	require.Contains(t, out, d.path(pidFile))
	require.Contains(t, out, d.path(logFile))
	c := (&server{sandbox: d.sandbox, url: d.url()}).client(t)
	require.Contains(t, c.get(t, "/").body, "app: ")
	c.CloseIdleConnections()
	pid, err := strconv.Atoi(strings.TrimSpace(d.content(t, pidFile)))
	require.NoError(t, err)
	session, err := getsid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, session, "it has a session, and so no terminal, of its own")

	status, err := d.run(t, "status", d.dir, "--port", d.port)
	require.NoError(t, err, status)
	require.Contains(t, status, fmt.Sprintf("is running on PID %d, according to PID file %s", pid, d.path(pidFile)))

	again, err := d.start(t)
	require.Error(t, err)
	require.Contains(t, again, "already running on PID "+strconv.Itoa(pid))

	// What is printed after a log file was moved away goes to a new one.
	require.NoError(t, os.Rename(d.path(logFile), d.path("old.log")))
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	eventually(t, func() error {
		c.get(t, "/print?after")
		if b, err := os.ReadFile(d.path(logFile)); err != nil || !strings.Contains(string(b), "printed: after") {
			return errors.Join(fmt.Errorf("the new log has %q", b), err)
		}

		return nil
	})
	c.CloseIdleConnections()
	d.stop(t)
	require.NoFileExists(t, d.path(pidFile))
	require.Contains(t, d.content(t, logFile), "Stopped.")

	out, err = d.run(t, "stop", d.dir, "--port", d.port)
	require.Error(t, err)
	require.Contains(t, out, "there is no pid file "+d.path(pidFile))
	_, err = d.run(t, "stop", d.dir, "--port", d.port, "--ignore-pid-not-found")
	require.NoError(t, err)
}

// Whoever interrupts the command while it waits for the application, as timeout(1) does, has no server then. The end of
// a terminal ends nothing.
func TestDaemonThatIsInterruptedWhileItStarts(t *testing.T) {
	t.Parallel()

	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGQUIT: 131} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t)
			s := &server{sandbox: d.sandbox}
			s.Cmd = d.command(context.WithoutCancel(t.Context()), &launch{args: []string{
				d.dir, "--daemonize", "--address", "127.0.0.1", "--port", d.port, "--envvar", d.Marker,
				"--start-command", "exec sleep 1000",
			}})
			s.run(t)
			s.Stdout.Await(t, "Serving in the background", 1, s.Ended)
			s.signal(t, syscall.SIGHUP)
			s.signal(t, sig)
			s.requireExit(t, status)
			require.Contains(t, s.Stderr.String(), "the start was interrupted by "+unix.SignalName(sig)+
				", and the server in the background has ended\n")
			require.NoFileExists(t, d.path("passenger."+d.port+".pid"))
			d.RequireClean(t)
		})
	}
}

func TestStopThatIsInterrupted(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	out, err := d.start(t)
	require.NoError(t, err, out)
	s := &server{sandbox: d.sandbox, url: d.url()}
	c := s.client(t)
	log := "passenger." + d.port + ".log"
	awaitLogged := func(text string) {
		eventually(t, func() error {
			if !strings.Contains(d.content(t, log), text) {
				return errors.New("the log does not have " + text)
			}

			return nil
		})
	}
	held := c.background(t, "/hold")
	awaitLogged(heldText(1))
	app := s.Apps(s.servingCore(t))[0]

	cmd := d.command(context.WithoutCancel(t.Context()), &launch{})
	cmd.Args = append(cmd.Args[:1], "stop", d.dir, "--port", d.port)
	require.NoError(t, cmd.Start())
	awaitLogged(stopping)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Equal(t, 130, cmd.ProcessState.ExitCode())

	require.NoError(t, syscall.Kill(app, syscall.SIGUSR1))
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode)
	c.CloseIdleConnections()
	d.RequireClean(t)
}

func TestDaemonFiles(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	require.NoError(t, os.MkdirAll(d.path("tmp/pids"), 0o700))
	require.NoError(t, os.Mkdir(d.path("log"), 0o700))
	out, err := d.start(t)
	require.NoError(t, err, out)
	require.FileExists(t, d.path("tmp/pids/passenger."+d.port+".pid"))
	require.FileExists(t, d.path("log/passenger."+d.port+".log"))
	d.stop(t)
}

// A daemon that cannot serve says why to whoever has started it.
func TestDaemonThatCannotServe(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	l, err := net.Listen("tcp", "127.0.0.1:"+d.port)
	require.NoError(t, err)
	defer l.Close()
	out, err := d.start(t)
	require.Error(t, err)
	require.Contains(t, out, "is in use by another program")
	require.NoFileExists(t, d.path("passenger."+d.port+".pid"))
	d.RequireClean(t)
}

// A pid file that a server which was killed has left behind is no obstacle, and
// stop does not believe it.
func TestPIDFileLeftBehind(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	file := d.path("passenger." + d.port + ".pid")
	require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600))
	out, err := d.run(t, "stop", d.dir, "--port", d.port)
	require.Error(t, err)
	require.Contains(t, out, "not running")
	out, err = d.run(t, "status", d.dir, "--port", d.port)
	require.NoError(t, err, out)
	require.Contains(t, out, "is not running")
	out, err = d.start(t)
	require.NoError(t, err, out)
	d.stop(t)
}

// Files in directories of others are neither followed nor made by root.
// Faults: R-04.
func TestServerFilesInForeignDirectoriesAreNotFollowed(t *testing.T) {
	t.Parallel()
	t.Run("links", func(t *testing.T) {
		t.Parallel()
		d := newDaemon(t)
		canary := filepath.Join(t.TempDir(), "canary")
		require.NoError(t, os.WriteFile(canary, []byte("whole"), 0o600))

		for _, name := range []string{".log", ".pid"} {
			link := d.path("passenger." + d.port + name)
			require.NoError(t, os.Symlink(canary, link))
			out, err := d.start(t)
			require.Error(t, err)
			require.Contains(t, out, link)
			require.NoError(t, os.Remove(link))
		}

		content, err := os.ReadFile(canary)
		require.NoError(t, err)
		require.Equal(t, "whole", string(content))
		d.RequireClean(t)
	})
	t.Run("a user's directory", func(t *testing.T) {
		t.Parallel()
		interpreters.Root(t, "to make a directory of another user")
		d := newDaemon(t)
		require.NoError(t, os.Chown(d.dir, 61001, 61001))
		out, err := d.start(t)
		require.Error(t, err)
		require.Contains(t, out, "others than root could replace what is in the directory")
		entries, err := os.ReadDir(d.dir)
		require.NoError(t, err)
		require.Empty(t, entries)
		d.RequireClean(t)
	})
}

func getsid(pid int) (int, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}

	_, rest, _ := strings.Cut(string(stat), ") ")

	return strconv.Atoi(strings.Fields(rest)[3])
}

// A log file that cannot be opened again leaves the old one in use.
// Faults: G13.
func TestLogThatCannotBeReopenedKeepsTheOldFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, moved := filepath.Join(dir, "log"), filepath.Join(dir, "moved")
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--log-file", log)})
	c := s.client(t)
	requireLogged := func(file, text string) {
		eventually(t, func() error {
			c.get(t, "/print?"+text)
			b, err := os.ReadFile(file)
			if err == nil && !strings.Contains(string(b), "printed: "+text) {
				err = fmt.Errorf("%s has %q", file, b)
			}

			return err
		})
	}
	requireLogged(log, "before")
	require.NoError(t, os.Rename(log, moved))
	require.NoError(t, os.Mkdir(log, 0o700))
	s.signal(t, syscall.SIGUSR1)
	requireLogged(moved, "still-here")
	eventually(t, func() error {
		b, err := os.ReadFile(moved)
		if err == nil && !strings.Contains(string(b), "cannot open the log file") {
			err = errors.New("the log does not say what is wrong")
		}

		return err
	})
	require.NoError(t, os.Remove(log))
	s.signal(t, syscall.SIGUSR1)
	requireLogged(log, "after")
	c.CloseIdleConnections()
	s.stop(t)
}
