package spawner_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// What tenants try with the rights of their own user.

// canary is a file of root that must neither be changed nor shown.
func canary(t *testing.T) (path string, requireUnharmed func()) {
	t.Helper()
	dir := shortDir(t)
	path = filepath.Join(dir, "canary")
	require.NoError(t, os.WriteFile(path, []byte("CANARY=tweet\n"), 0o600))
	before, err := os.Lstat(path)
	require.NoError(t, err)

	return path, func() {
		t.Helper()
		now, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, before.Mode(), now.Mode())
		require.Equal(t, before.ModTime(), now.ModTime())
		require.Equal(t, uidOf(t, before), uidOf(t, now))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
}

// Files that an application's directory links to are read with its user's rights, and so not at all.
// Faults: R-07.
func TestFilesAreReadWithTheUsersRights(t *testing.T) {
	secret, requireUnharmed := canary(t)
	f := newUserFixture(t)
	program := sharedProgram(t)

	link := func(a *spawner.App, name string) {
		require.NoError(t, os.Symlink(secret, filepath.Join(a.Root, name)))
	}
	for name, prepare := range map[string]func(a *spawner.App){
		"environment file": func(a *spawner.App) { link(a, "env"); a.EnvFiles = []string{"env"} },
		"environment file by its path": func(a *spawner.App) {
			a.EnvFiles = []string{secret}
		},
		"settings of Meteor": func(a *spawner.App) {
			link(a, "settings.json")
			a.MeteorSettings = "settings.json"
			a.Type, a.StartCommand, a.StartupFile, a.NodeJS = "meteor", nil, "main.js", program
			require.NoError(t, os.WriteFile(filepath.Join(a.Root, "main.js"), nil, 0o644))
		},
		"start command": func(a *spawner.App) {
			require.NoError(t, os.Chmod(secret, 0o700))
			link(a, "start")
			a.StartCommand = []string{"./start"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := tenantApp(t, program, alice, alice)
			prepare(&a)
			e := f.fail(t, a)
			require.Contains(t, e.Summary, "permission denied")
			require.NotContains(t, fmt.Sprintf("%+v", e)+f.log.String(), "tweet")
			require.NoError(t, os.Chmod(secret, 0o600))
		})
	}

	requireUnharmed()
}

// A socket that was replaced after its check is refused by the user that listens there.
// Faults: R-10.
func TestReplacedSocketIsNotTrusted(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	p, other := f.start(t, tenantApp(t, program, alice, alice)), f.start(t, tenantApp(t, program, bob, bob))
	require.NoError(t, os.Rename(other.Info().Sockets[0].Address.Addr, p.Info().Sockets[0].Address.Addr))
	_, err := get(t, p, "/")
	require.ErrorContains(t, err, "another user listens")
}

// TestHostileReports: what an application says of other users' processes and
// sockets keeps it from starting, and nothing is done to them.
func TestHostileReports(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	other := f.start(t, tenantApp(t, program, bob, bob))

	socket := other.Info().Sockets[0].Address.Addr
	for text, reason := range map[string]string{
		"!> socket: main;unix:" + socket +
			";session;1\n": "is not in the directory",
		"!> socket: main;unix:{dir}/../" + filepath.Base(filepath.Dir(socket)) +
			"/x;session;1\n": "unacceptable address",
		fmt.Sprintf("!> socket: main;unix:{socket};http_session;1\n!> pid: %d\n",
			other.Info().PID): "does not belong to user",
	} {
		a := tenantApp(t, program, alice, alice)
		a.Env = testapp.Env("say-after", "text=!> Ready\n"+text+"!> \n")
		e := f.fail(t, a)
		require.Contains(t, e.Summary, reason)
		body, err := get(t, other, "/")
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
}

// A link in place of a socket leads to no other process.
// Faults: H3.
func TestLinkToForeignSocketIsRefused(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	p, other := f.start(t, tenantApp(t, program, alice, alice)), f.start(t, tenantApp(t, program, bob, bob))
	_, err := get(t, p, "/spoil?how=link&target="+other.Info().Sockets[0].Address.Addr)
	require.NoError(t, err)
	_, err = get(t, p, "/")
	require.ErrorContains(t, err, "another user listens")
}

// See also TestOtherUsersCannotReachTheSockets; each loader has a test that a password is needed.
// Faults: H4.
func TestTenantCannotConnectToForeignSockets(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	p, other := f.start(t, tenantApp(t, program, alice, alice)), f.start(t, tenantApp(t, program, bob, bob))
	body, err := get(t, other, "/try-connect?path="+p.Info().Sockets[0].Address.Addr)
	require.NoError(t, err)
	require.Contains(t, body, "permission denied")
	require.NotEqual(t, p.Info().ConnectPassword, other.Info().ConnectPassword)
	require.GreaterOrEqual(t, len(p.Info().ConnectPassword), 22, "128 bits")
}

// Faults: H5.
func TestTenantCannotReachTheServersProcesses(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)

	p, other := f.start(t, tenantApp(t, program, alice, alice)), f.start(t, tenantApp(t, program, bob, bob))
	for _, pid := range []int{os.Getpid(), other.Info().PID} {
		for _, path := range []string{
			fmt.Sprintf("/try-signal?pid=%d", pid), fmt.Sprintf("/try-trace?pid=%d", pid),
			fmt.Sprintf("/try-read?path=/proc/%d/environ", pid), fmt.Sprintf("/try-read?path=/proc/%d/mem", pid),
		} {
			body, err := get(t, p, path)
			require.NoError(t, err)
			require.Regexp(t, "permission denied|operation not permitted", body, path)
		}
	}

	body, err := get(t, p, fmt.Sprintf("/try-signal?pid=%d", p.Info().PID))
	require.NoError(t, err)
	require.Equal(t, "signalled", body, "the trick works")
}

// Faults: H6.
func TestApplicationInheritsOnlyWhatIsDocumented(t *testing.T) {
	for _, name := range []string{
		"SUDO_USER", "SUDO_COMMAND", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
		"CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "MAIL", "MALLOC_CHECK_",
	} {
		t.Setenv(name, "inherited")
	}

	t.Setenv("MALLOC_ARENA_MAX", "2")
	t.Setenv("LANG", "C.UTF-8")
	f := newUserFixture(t)
	p := f.start(t, tenantApp(t, sharedProgram(t), alice, alice))

	s := stateOf(t, p)
	for _, v := range s.Env {
		require.NotContains(t, v, "inherited")
	}

	require.True(t, slices.Contains(s.Env, "MALLOC_ARENA_MAX=2") && slices.Contains(s.Env, "LANG=C.UTF-8"),
		"what configures programs stays")
	require.Len(t, s.FDs, 3)
	require.NotContains(t, strings.Join(s.Env, "\n"), p.Info().ConnectPassword)
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Info().PID))
	require.NoError(t, err)
	require.NotContains(t, string(cmdline), p.Info().ConnectPassword)
}

// Faults: H7, R-60.
func TestApplicationHasNoTerminal(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	p := f.start(t, tenantApp(t, sharedProgram(t), alice, alice))
	body, err := get(t, p, "/try-tty")
	require.NoError(t, err)
	require.Contains(t, body, "no such device")
}

// Nothing of an application is waited for.
// Faults: H9.
func TestFIFOsInTheApplicationAreNotAwaited(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	fifo := func(a *spawner.App, name string) {
		require.NoError(t, mkfifo(filepath.Join(a.Root, name), alice))
	}
	a := tenantApp(t, program, alice, alice)
	fifo(&a, "env")
	a.EnvFiles = []string{"env"}
	require.Contains(t, f.fail(t, a).Summary, "not a regular file")

	a = tenantApp(t, program, alice, alice)
	fifo(&a, "passenger_wsgi.py")
	a.StartCommand, a.StartupFile, a.Type, a.Python = nil, "", "wsgi", program
	require.Contains(t, f.fail(t, a).Summary, "not a regular file")

	a = tenantApp(t, program, alice, alice)
	fifo(&a, "start")
	a.StartCommand = []string{"./start"}
	require.Contains(t, f.fail(t, a).Summary, "cannot be executed")
}

// While the startup files of two users are exchanged, each file runs as its owner, or not at all.
// Faults: H2, R-17.
func TestSwappedStartupFileRunsAsItsOwner(t *testing.T) {
	spawns := longtests.Rounds(t, 8, 20)

	for name, kind := range map[string]struct{ interpreter, file, code string }{
		"rack": {"/usr/bin/ruby", "config.ru", "run lambda { |env| [200, {}, ['%d']] }\n"},
		"wsgi": {
			"/usr/bin/python3", "passenger_wsgi.py",
			"def application(environ, start):\n    start('200 OK', [])\n    return [b'%d']\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			interpreter := interpreters.Find(t, map[string]string{"rack": "ruby", "wsgi": "python"}[name],
				kind.interpreter)
			f := newUserFixture(t)
			dir := shortDir(t)
			require.NoError(t, os.Chmod(dir, 0o755))

			file, other := filepath.Join(dir, kind.file), filepath.Join(dir, "other")
			for path, uid := range map[string]int{file: alice, other: bob} {
				require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, kind.code, uid), 0o644))
				require.NoError(t, os.Chown(path, uid, uid))
			}

			defer exchange(file, other)()
			a := spawner.App{
				Root:         dir,
				GroupName:    "app",
				Ruby:         interpreter,
				Python:       interpreter,
				StartTimeout: patience,
				Env:          testapp.Env("http"),
				SpawnMethod:  spawner.DirectSpawning,
			}

			started, refused := 0, 0
			// Each is one or the other by chance.
			for n := 0; n < spawns || started == 0 && n < 20*spawns; n++ {
				p, err := f.spawn(t, a)
				if err != nil {
					require.ErrorContains(t, err, "belongs to user")
					refused++
					continue
				}

				started++
				require.Equal(t, credentialsOf(t, p)["Uid"], four(ownerOfCode(t, p)))
				stopNow(p)
			}

			t.Logf("%d started, %d refused", started, refused)
			require.Positive(t, started)
		})
	}
}

// exchange exchanges two files again and again, until stop.
func exchange(a, b string) (stop func()) {
	done := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
			}
		}
	})

	return func() {
		close(done)
		swapper.Wait()
	}
}

// ownerOfCode asks an application by the session protocol which user owns
// its code.
func ownerOfCode(t *testing.T, p spawner.Process) int {
	t.Helper()
	conn, err := p.Info().Sockets[0].Dial(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))

	var e sessionproto.Encoder
	for name, value := range map[string]string{
		"REQUEST_METHOD": "GET", "REQUEST_URI": "/", "PATH_INFO": "/",
		"PASSENGER_CONNECT_PASSWORD": p.Info().ConnectPassword,
	} {
		e.Add(name, value)
	}

	header, err := e.Bytes()
	require.NoError(t, err)
	_, err = conn.Write(header)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	uid, err := strconv.Atoi(string(body))
	require.NoError(t, err)

	return uid
}
