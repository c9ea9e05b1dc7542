package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// notFiles are what may be in a file's place, with how that is refused.
var notFiles = []struct {
	name string
	put  func(path string) error
	says string
}{
	{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o666) }, "not a regular file"},
	{"device", func(path string) error { return os.Symlink("/dev/zero", path) }, "not a regular file"},
	{"directory", func(path string) error { return os.Mkdir(path, 0o755) }, "not a regular file"},
	{"socket", func(path string) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
			_ = unix.Close(fd)
		}

		return err
	}, "not a regular file"},
	{
		"loop of links", func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"too many levels of symbolic links",
	},
	{"file of 10 GB", func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}

		return os.Truncate(path, 10<<30)
	}, "bytes"},
}

// Whatever a tenant puts in the place of a file that the server reads, the start ends at
// once, with a sentence that names it.
func TestStartRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()

	for _, read := range []struct {
		name, file string
		args       []string
	}{
		{"configuration", "Passengerfile.json", nil},
		{"older configuration", "passenger-standalone.json", nil},
		{"error page", "page.html", []string{"--custom-error-page", "{dir}/page.html"}},
		{"certificate", "cert.pem", []string{
			"--ssl", "--ssl-certificate", "{dir}/cert.pem", "--ssl-certificate-key",
			"{dir}/cert.pem",
		}},
		{"environment", "env", []string{"--env-file", "{dir}/env"}},
	} {
		for _, no := range notFiles {
			t.Run(read.name+" is a "+no.name, func(t *testing.T) {
				t.Parallel()
				dir, err := os.MkdirTemp("", "no") //nolint:usetesting // that of t is too long for sockets
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
				path := filepath.Join(dir, read.file)
				require.NoError(t, no.put(path))

				l := &launch{dir: dir, args: testApp(t)}
				for _, arg := range read.args {
					l.args = append(l.args, strings.ReplaceAll(arg, "{dir}", dir))
				}

				says := no.says
				if read.name == "error page" { // which has words of its own
					says = "custom_error_page"
				}

				line := refuse(t, l)
				require.Contains(t, line, says)
			})
		}
	}
}

// ofBin has a directory with an application that belongs to the user bin.
func ofBin(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := newDir(t, files)
	require.NoError(t, os.Chown(dir, binUID, binUID))

	for name := range files {
		require.NoError(t, os.Chown(filepath.Join(dir, name), binUID, binUID))
	}

	return dir
}

// Hooks that a tenant has chosen are not run as root, whatever the way to them.
// Faults: R-18.
func TestStartAsRootRefusesHooksThatAnotherUserCanChange(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	const hooks = `{"ctls": {"hook_attached_process": "/bin/true"}}`

	file := func(dir string) string { return filepath.Join(dir, "Passengerfile.json") }
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, dir string) error
		says  string
	}{
		{
			"a tenant's file", func(_ *testing.T, dir string) error { return os.Chown(file(dir), binUID, binUID) },
			"belongs to another user than root",
		},
		{
			"a file for everybody", func(_ *testing.T, dir string) error { return os.Chmod(file(dir), 0o666) },
			"others than root can write to",
		},
		{
			"a file for a group", func(_ *testing.T, dir string) error { return os.Chmod(file(dir), 0o664) },
			"others than root can write to",
		},
		{
			"root's file in a tenant's directory",
			func(_ *testing.T, dir string) error { return os.Chown(dir, binUID, binUID) },
			"could replace what is in the directory",
		},
		{
			"root's file in a directory for everybody",
			func(_ *testing.T, dir string) error { return os.Chmod(dir, 0o777) },
			"could replace what is in the directory",
		},
		{"a link to a tenant's file", func(t *testing.T, dir string) error {
			t.Helper()
			target := file(ofBin(t, passengerfile(hooks)))
			require.NoError(t, os.Remove(file(dir)))

			return os.Symlink(target, file(dir))
		}, "belongs to another user than root"},
		{"root's hook that a tenant can change", func(t *testing.T, dir string) error {
			t.Helper()
			script := filepath.Join(ofBin(t, map[string]string{"hook": "#!/bin/sh\n"}), "hook")
			return os.WriteFile(file(dir), fmt.Appendf(nil, `{"ctls": {"hook_attached_process": %q}}`, script), 0o600)
		}, "cannot run the hook hook_attached_process as root"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t, passengerfile(hooks))
			require.NoError(t, os.Chmod(dir, 0o755))
			require.NoError(t, test.spoil(t, dir))
			line := refuse(t, &launch{dir: dir, args: testApp(t)})
			require.Contains(t, line, test.says)
			require.Contains(t, line, "--user")
		})
	}
}

// As the tenant's own user the same hooks are fine, and root is warned of an application
// that it would run for a tenant.
func TestStartAsRootWarnsOfTenantsApplication(t *testing.T) {
	t.Parallel()
	requireRoot(t)

	for _, test := range []struct {
		name  string
		spoil func(dir string) error
		says  string
	}{
		{
			"a tenant's directory", func(dir string) error { return os.Chown(dir, binUID, binUID) },
			"the user bin can change the application in",
		},
		{
			"a directory for everybody", func(dir string) error { return os.Chmod(dir, 0o777) },
			"everybody can change the application in",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, test.spoil(dir))
			s := start(t, &launch{dir: dir, args: testApp(t)})
			require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
			s.stop(t)
			require.Contains(t, s.Stderr.String(), "warning: the server runs as root, and "+test.says)
			require.Contains(t, s.Stderr.String(), "--user")
		})
	}

	t.Run("as the tenant", func(t *testing.T) {
		t.Parallel()
		box := newUsersSandbox(t)
		l := box.asBin(t)
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, "Passengerfile.json"),
			[]byte(`{"ctls": {"hook_attached_process": "/bin/true"}}`), 0o644))
		require.NoError(t, os.Chown(filepath.Join(l.dir, "Passengerfile.json"), binUID, binUID))
		s := startIn(t, box, l)
		require.Equal(t, binUID, readTenant(t, s.client(t).get(t, "/")).UID)
		s.stop(t)
		require.NotContains(t, s.Stderr.String(), "runs as root")
	})
}

// thieving serves on an address as the user bin, and says what it was sent.
func thieving(t *testing.T, address string) (sent <-chan string) {
	t.Helper()
	l := listenAs(t, binUID, address)
	t.Cleanup(func() { _ = l.Close() })
	stolen := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(stolen)
				return
			}

			buf := make([]byte, 1024)
			if n, _ := conn.Read(buf); n > 0 {
				stolen <- string(buf[:n])
			}

			_ = conn.Close()
		}
	}()

	return stolen
}

// listenAs makes a socket that belongs to a user, for the kernel and so for who asks it.
func listenAs(t *testing.T, uid int, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	tcp, ok := l.(*net.TCPListener)
	require.True(t, ok)
	file, err := tcp.File()
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Chown(uid, uid))

	return l
}

// supervised is a program that serves on its port until the file stop is there.
const supervised = `echo "$PORT" > port.new && mv port.new port
%s -m http.server --bind 127.0.0.1 "$PORT" 2>/dev/null & server=$!
while [ ! -e stop ]; do sleep 0.02; done
kill $server; wait $server; : > stopped
while :; do sleep 1; done`

// A tenant who takes the port of another's application while that restarts by itself gets
// no request of it: the process is replaced by one with another port.
func TestFlyingSendsNothingToTenantWhoTookThePort(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	a := box.goTenant(t, "a", daemonUID)
	require.NoError(t, os.WriteFile(filepath.Join(a.root, "run"), fmt.Appendf(nil, supervised, python), 0o644))
	a.options["app_start_command"] = `["/bin/sh", "run"]`
	get := func() int {
		reply := f.client(t).get(t, "/", f.header(t, a)...)
		return reply.StatusCode
	}
	require.Equal(t, http.StatusOK, get())
	port, err := os.ReadFile(filepath.Join(a.root, "port"))
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(filepath.Join(a.root, "stop"), nil, 0o644))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(a.root, "stopped"))
		return err == nil
	}, patience, time.Millisecond)
	require.NoError(t, os.Remove(filepath.Join(a.root, "stop")))
	sent := thieving(t, "127.0.0.1:"+strings.TrimSpace(string(port)))

	// The first may hear that the process is unreachable.
	require.Eventually(t, func() bool { return get() == http.StatusOK }, patience, time.Millisecond)
	now, err := os.ReadFile(filepath.Join(a.root, "port"))
	require.NoError(t, err)
	require.NotEqual(t, string(port), string(now))

	select {
	case request := <-sent:
		require.Fail(t, "the thief was sent a request", request)
	default:
	}

	f.stop(t)
}
