package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Load balancers learn that a server is to end before it takes no more
// requests.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + freePort(t)
	s := start(t, &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--metrics-address", address, "--drain-delay", "2"),
	})
	status := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	c := s.client(t)
	c.get(t, "/")
	require.Equal(t, http.StatusOK, status.get(t, "/livez").StatusCode)
	require.Equal(t, http.StatusOK, status.get(t, "/readyz").StatusCode)
	metrics := status.get(t, "/metrics").body
	require.Contains(t, metrics, "passenger_")
	require.NotContains(t, metrics, fmt.Sprint(s.apps(t)[0]), "the labels are not of processes")
	require.Equal(t, http.StatusNotFound, status.get(t, "/pool.json").StatusCode)

	s.signal(t, syscall.SIGTERM)
	eventually(t, func() error {
		if a := status.get(t, "/readyz"); a.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("the server is %s", a.Status)
		}

		return nil
	})
	require.Equal(t, http.StatusOK, status.get(t, "/livez").StatusCode)

	// It still takes requests, also of who comes now.
	require.Equal(t, "app: GET /late", s.client(t).get(t, "/late").body)
	status.CloseIdleConnections()
	c.CloseIdleConnections()
	s.requireExit(t, 0)
}

// A second signal does not wait for load balancers.
func TestDrainDelayIsCutShort(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--drain-delay", "1000")})
	s.client(t).get(t, "/")
	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, stopping, 1, s.Ended)
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 1)
}

// systemd learns when the server serves and when it ends.
func TestNotify(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	path := filepath.Join(box.Dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, l.SetReadDeadline(time.Now().Add(deadline)))
	receive := func() string {
		b := make([]byte, 512)
		n, err := l.Read(b)
		require.NoError(t, err)

		return string(b[:n])
	}
	s := startIn(t, box, &launch{dir: t.TempDir(), args: testApp(t), env: []string{"NOTIFY_SOCKET=" + path}})
	require.Equal(t, "READY=1", receive())
	s.client(t).get(t, "/")
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, "STOPPING=1", receive())
	s.requireExit(t, 0)
}

// startActivated starts a server with a socket that systemd has opened.
func startActivated(t *testing.T, socket *os.File, url string, args ...string) *server {
	t.Helper()
	return startActivatedFrom(t, filepath.Join(built, "passenger"), socket, url, args...)
}

func startActivatedFrom(t *testing.T, program string, socket *os.File, url string, args ...string) *server {
	t.Helper()
	return startActivatedOn(t, program, "passenger.socket", []*os.File{socket}, url, args...)
}

// startActivatedOn is for several sockets, whose names have colons between them.
func startActivatedOn(t *testing.T, program, names string, sockets []*os.File, url string, args ...string) *server {
	t.Helper()
	s := &server{sandbox: newSandbox(t), url: url}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{dir: t.TempDir(), args: append(testApp(t), args...)})

	// It has to know its own pid.
	shell := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s exec "$@"`, len(sockets), names)
	s.Cmd.Args = append([]string{"/bin/sh", "-c", shell, "sh", program}, s.Cmd.Args[1:]...)
	s.Cmd.Path = "/bin/sh"
	s.Cmd.ExtraFiles = sockets
	s.run(t)
	s.Stdout.Await(t, "You can stop it", 1, s.Ended)

	return s
}

// listenFor opens a socket as systemd does.
func listenFor(t *testing.T, network, address string) (l net.Listener, f *os.File) {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	filer, ok := l.(interface{ File() (*os.File, error) })
	require.True(t, ok)
	f, err = filer.File()
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })

	return l, f
}

// A socket that systemd has opened takes the place of those that the options
// name.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	l, f := listenFor(t, "tcp", "127.0.0.1:0")
	s := startActivated(t, f, "http://"+l.Addr().String())
	require.Contains(t, s.Stdout.String(), s.url+"/")
	c := s.client(t)
	require.Equal(t, "app: GET /x", c.get(t, "/x").body)

	for _, pid := range append(s.apps(t), s.core(t)) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		require.NoError(t, err)
		require.NotContains(t, strings.ReplaceAll(string(env), "\x00", "\n"), "LISTEN_FDS")
	}

	c.CloseIdleConnections()
	s.stop(t)
}

// A unit may have several addresses, whose sockets have one name, and several sockets of each name.
func TestSocketActivationWithSeveralSockets(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		names   string
		metrics bool
	}{
		"without names":            {"", false},
		"of the name of a unit":    {"shop.socket:shop.socket", false},
		"of the name of a port":    {"http:http", false},
		"one of which for metrics": {"http:metrics", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, first := listenFor(t, "tcp", "127.0.0.1:0")
			path := filepath.Join(newSandbox(t).Dir, "s")
			_, second := listenFor(t, "unix", path)
			s := startActivatedOn(t, filepath.Join(built, "passenger"), c.names, []*os.File{first, second},
				"http://"+l.Addr().String())
			require.Equal(t, "app: GET /x", s.client(t).get(t, "/x").body)
			require.Contains(t, s.Stdout.String(), s.url+"/")

			other := &server{sandbox: s.sandbox, url: "unix:" + path}
			if c.metrics {
				require.Equal(t, http.StatusOK, other.client(t).get(t, "/readyz").StatusCode)
			} else {
				require.Equal(t, "app: GET /y", other.client(t).get(t, "/y").body)
				require.Contains(t, s.Stdout.String(), other.url)
			}

			s.stop(t)
		})
	}
}

// Without the sockets of its unit, a server would listen where no client expects it.
func TestSocketActivationWithoutASocketToUse(t *testing.T) {
	t.Parallel()

	_, good := listenFor(t, "tcp", "127.0.0.1:0")
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = packets.Close() })
	udp, ok := packets.(*net.UDPConn)
	require.True(t, ok)
	datagrams, err := udp.File()
	require.NoError(t, err)
	t.Cleanup(func() { _ = datagrams.Close() })
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	unix.CloseOnExec(pair[0])
	unix.CloseOnExec(pair[1])
	connection, peer := os.NewFile(uintptr(pair[0]), "connection"), os.NewFile(uintptr(pair[1]), "peer")
	t.Cleanup(func() { _ = connection.Close() })
	t.Cleanup(func() { _ = peer.Close() })
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })

	for name, test := range map[string]struct {
		files []*os.File
		count string
		says  string
	}{
		"too many of a name": {slices.Repeat([]*os.File{good}, 9), "9", "there may be 8 of one name"},
		"datagrams":          {[]*os.File{datagrams}, "1", "is no stream socket: the unit must have ListenStream= only"},
		"a connection":       {[]*os.File{connection}, "1", "does not listen, such as a connection: the unit must have Accept=no"},
		"a file":             {[]*os.File{file}, "1", "the descriptor 3 is no socket"},
		"one too few":        {[]*os.File{good, file}, "2", "cannot use the socket number 2 of 2"},
		"far too few":        {[]*os.File{good}, "99999999", "cannot use the socket number 2 of 99999999"},
		"no number":          {[]*os.File{good}, "one", `LISTEN_FDS is "one", not a number of sockets`},
		"less than none":     {[]*os.File{good}, "-1", `LISTEN_FDS is "-1", not a number of sockets`},
		"a foreign name":     {[]*os.File{good, good}, "2 LISTEN_FDNAMES=http:web", `the socket "web" of systemd is not one`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{sandbox: newSandbox(t)}
			s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{dir: t.TempDir(), args: testApp(t)})
			shell := `LISTEN_PID=$$ LISTEN_FDS=` + test.count + ` exec "$@"`
			program := filepath.Join(built, "passenger")
			s.Cmd.Args = append([]string{"/bin/sh", "-c", shell, "sh", program}, s.Cmd.Args[1:]...)
			s.Cmd.Path = "/bin/sh"
			s.Cmd.ExtraFiles = test.files
			s.run(t)
			s.requireExit(t, 1)
			require.Contains(t, s.Stderr.String(), test.says)
			require.NotContains(t, s.Stdout.String(), "Accessible via")
		})
	}
}

// What systemd does not open is not lost: monitoring systems ask by an address of their own.
func TestSocketActivationKeepsTheMetricsAddress(t *testing.T) {
	t.Parallel()
	l, f := listenFor(t, "tcp", "127.0.0.1:0")
	address := "127.0.0.1:" + freePort(t)
	s := startActivated(t, f, "http://"+l.Addr().String(), "--metrics-address", address)
	s.client(t).get(t, "/x")
	status := (&server{sandbox: s.sandbox, url: "http://" + address}).client(t)
	require.Equal(t, http.StatusOK, status.get(t, "/readyz").StatusCode)
	s.stop(t)
}

// No option has opened what systemd has.
func TestSocketOfSystemdThatAnOptionAsksForAsWellIsNamed(t *testing.T) {
	t.Parallel()
	l, f := listenFor(t, "tcp", "127.0.0.1:0")
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(context.WithoutCancel(t.Context()),
		&launch{dir: t.TempDir(), args: append(testApp(t), "--metrics-address", l.Addr().String())})
	program := filepath.Join(built, "passenger")
	shell := `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`
	s.Cmd.Args = append([]string{"/bin/sh", "-c", shell, "sh", program}, s.Cmd.Args[1:]...)
	s.Cmd.Path = "/bin/sh"
	s.Cmd.ExtraFiles = []*os.File{f}
	s.run(t)
	s.requireExit(t, 1)
	require.Contains(t, s.Stderr.String(), "as --metrics-address asks for: the server itself listens on "+
		l.Addr().String()+", by a socket of systemd: choose another port for one of them")
}

// A server takes the place of another one, on a socket that neither has
// opened, whichever of the two ends. No request is lost, and the socket's file
// stays.
// Faults: E12, P1, R-75.
func TestUpgradeLosesNoRequest(t *testing.T) { //nolint:tparallel // its subtests have a socket in common
	t.Parallel()

	path := filepath.Join(newSandbox(t).Dir, "s")
	for _, network := range []string{"tcp", "unix"} {
		address := map[string]string{"tcp": "127.0.0.1:0", "unix": path}[network]
		l, f := listenFor(t, network, address)

		url := map[string]string{"tcp": "http://" + l.Addr().String(), "unix": "unix:" + path}[network]
		for _, endsOld := range []bool{true, false} {
			name := fmt.Sprintf("%s, the old one ends: %t", network, endsOld)
			t.Run(name, func(t *testing.T) {
				old := startActivated(t, f, url)
				l := old.load(t, 4, func(ctx context.Context, c *client) error {
					defer c.CloseIdleConnections() // the next one may be the other server's
					return askOnce(ctx, c)
				})
				l.Progress(t, 100)
				next := startActivated(t, f, url)
				l.Progress(t, 100)
				if endsOld {
					old.stop(t)
				} else {
					next.stop(t)
				}

				l.Progress(t, 100)
				l.RequireNoneLost(t)
				if network == "unix" {
					require.FileExists(t, path)
				}
			})
		}
	}
}

// A server that goes into the background under a service manager warns, and tells it
// which process to watch.
func TestBackgroundUnderServiceManager(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	env, messages := listenForNotifications(t, d.sandbox)
	args := append(testApp(t), "--daemonize", "--address", "127.0.0.1", "--port", d.port)
	out, err := d.command(t.Context(), &launch{dir: d.dir, args: args, env: []string{env}}).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "passenger: warning: a service manager runs this command")
	require.Equal(t, "MAINPID="+strings.TrimSpace(d.content(t, "passenger."+d.port+".pid")), awaitMessage(t, messages))
	require.Equal(t, "READY=1", awaitMessage(t, messages))
	d.stop(t)
	require.Equal(t, "STOPPING=1", awaitMessage(t, messages))

	for variables, warns := range map[string]bool{"INVOCATION_ID=0123": true, "X=": false} {
		out, err := d.command(t.Context(), &launch{dir: d.dir, args: args, env: []string{variables}}).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, warns, strings.Contains(string(out), "service manager"))
		d.stop(t)
	}
}
