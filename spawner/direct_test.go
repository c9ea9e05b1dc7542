package spawner_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

func dialOf(p spawner.Process) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return p.Info().Sockets[0].Dial(ctx) }
}

func TestDirectConforms(t *testing.T) {
	t.Parallel()
	spawnertest.Conform(t, func(t *testing.T) spawnertest.Subject {
		t.Helper()
		f := newFixture(t)

		return spawnertest.Subject{
			Factory: f,
			App:     app(t, "http"),
			Broken:  app(t, "exit", "status=3"),
			Kill:    kill(t),
			Empty: func() error {
				entries, err := os.ReadDir(filepath.Join(f.dir, "apps.s"))
				if len(entries) > 0 {
					err = fmt.Errorf("%s is left", entries[0].Name())
				}

				if os.IsNotExist(err) {
					err = nil
				}

				return err
			},
		}
	})
}

func TestServing(t *testing.T) {
	t.Parallel()

	for name, a := range map[string]spawner.App{
		"unix socket":                     app(t, "http"),
		"tcp socket":                      app(t, "tcp"),
		"garbage before the handshake":    app(t, "http", "noise=\xff\xfe\x1b[0m!> in the middle\n!>\n>! \n"),
		"handshake twice":                 app(t, "re-exec"),
		"much output while it starts":     app(t, "flood"),
		"a pid of no process":             app(t, "http", "pid=99999999"),
		"a pid of a process that is ours": app(t, "http", fmt.Sprintf("pid=%d", os.Getpid())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a.Root = t.TempDir()
			p := f.start(t, a)
			body, err := get(t, p, "/")
			require.NoError(t, err)
			require.Equal(t, "hello", body)
			pid, err := get(t, p, "/pid")
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(p.Info().PID), pid)
			p.Stop(t.Context())

			require.Equal(t, "exit status 0", p.ExitStatus())
		})
	}
}

func TestSessionProtocolKeepAlive(t *testing.T) {
	t.Parallel()

	f := newFixture(t)
	for keepAlive, params := range map[bool][]string{true: {"keepalive=yes"}, false: nil} {
		p := f.start(t, app(t, "session", params...))
		require.Equal(t, loaderproto.Session, p.Info().Sockets[0].Protocol)
		require.Equal(t, keepAlive, p.Info().Sockets[0].SessionKeepAlive)
	}
}

func TestSpawnState(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}

	t.Setenv("NOTIFY_SOCKET", "/run/x")
	t.Setenv("WATCHDOG_USEC", "1")
	t.Setenv("LISTEN_FDS", "3")
	t.Setenv("NODE_CHANNEL_FD", "3")
	t.Setenv("NODE_CHANNEL_SERIALIZATION_MODE", "json")
	t.Setenv("NODE_UNIQUE_ID", "1")
	t.Setenv("RACK_BASE_URI", "/stale")

	f := newFixture(t)
	for range 100 { // descriptors that must not get through
		file, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer file.Close()
	}

	a := app(t, "http")
	a.Environment, a.BaseURI = "staging", "/sub"
	a.Env["NODE_ENV"] = "mine"
	p := f.start(t, a)
	s := stateOf(t, p)
	require.Equal(t, p.Info().PID, s.PID)
	require.Equal(t, s.PID, s.PGID)
	require.Equal(t, s.PID, s.SID)
	require.Equal(t, os.Getpid(), s.PPID)
	require.Equal(t, a.Root, s.Dir)
	require.Len(t, s.FDs, 3)
	require.Equal(t, s.FDs["0"], s.FDs["1"])
	require.Contains(t, s.FDs["0"], "socket:")
	require.Contains(t, s.FDs["2"], "pipe:")
	require.Empty(t, s.NonBlocking)

	env := "\n" + strings.Join(s.Env, "\n") + "\n"
	for _, want := range []string{
		"IN_PASSENGER=1", "PYTHONUNBUFFERED=1", "RAILS_ENV=staging", "RACK_ENV=staging", "WSGI_ENV=staging",
		"NODE_ENV=mine", "PASSENGER_APP_ENV=staging", "RAILS_RELATIVE_URL_ROOT=/sub", "RACK_BASE_URI=/sub",
		"PASSENGER_BASE_URI=/sub", "PWD=" + a.Root,
	} {
		require.Contains(t, env, "\n"+want+"\n")
	}

	for _, unwanted := range []string{
		"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "LISTEN_FDS=",
		"NODE_CHANNEL_FD=", "NODE_CHANNEL_SERIALIZATION_MODE=", "NODE_UNIQUE_ID=",
	} {
		require.NotContains(t, env, "\n"+unwanted)
	}

	require.Regexp(t, `\nNODE_PATH=`+f.dir+`/loaders\.[a-zA-Z0-9]+/node\n`, env)

	require.Equal(t, p.Info().GUPID, s.Options["gupid"])
	require.Regexp(t, `^[0-9a-f]+-[a-zA-Z0-9]{10}$`, s.Options["gupid"])
	require.Equal(t, p.Info().ConnectPassword, s.Options["connect_password"])
	require.Regexp(t, `^[a-zA-Z0-9]{24}$`, s.Options["connect_password"])
	require.Equal(t, a.Root, s.Options["app_root"])
	require.Equal(t, "app", s.Options["app_group_name"])
	require.Equal(t, "/sub", s.Options["base_uri"])
	require.Equal(t, "20000", s.Options["start_timeout"])
	require.Equal(t, "direct", s.Options["spawn_method"])
	require.Equal(t, "session_keep_alive http_oob_work http_client", s.Options["features"])
	require.NotContains(t, f.log.String(), p.Info().ConnectPassword)
}

func TestDeathWithoutStop(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, app(t, "http"))
	socket := p.Info().Sockets[0].Address.Addr
	require.FileExists(t, socket)
	_, err := get(t, p, "/exit?status=7")
	require.Error(t, err)
	requireExit(t, p)
	require.Equal(t, "exit status 7", p.ExitStatus())
	p.Stop(t.Context())
	require.NoDirExists(t, filepath.Dir(socket))
}

// Faults: B10.
func TestStopKillsProcessThatIgnoresTERM(t *testing.T) {
	t.Parallel()
	soon := func(c *spawner.Config) { c.TermDelay, c.ShutdownTimeout = time.Second/10, patience }

	for _, test := range []struct {
		behaviour string
		config    func(*spawner.Config)
		timeout   time.Duration
		status    string
	}{
		{"http", func(*spawner.Config) {}, patience, "exit status 0"},
		{"ignore-eof", soon, patience, "signal: terminated"},
		{
			"stubborn", func(c *spawner.Config) { soon(c); c.ShutdownTimeout = time.Second / 5 }, patience,
			"signal: killed",
		},
		{"stubborn", soon, time.Second / 5, "signal: killed"},
	} {
		t.Run(test.behaviour+" "+test.status, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, test.config)
			p := f.start(t, app(t, test.behaviour))
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			defer cancel()
			go p.Stop(t.Context())
			p.Stop(ctx)

			require.Equal(t, test.status, p.ExitStatus())
		})
	}
}

func TestGroupEndsWithItsLeader(t *testing.T) {
	t.Parallel()
	requireGroupEnds(t, "1")
}

// Faults: B11, P9.
func TestStopEndsFiveHundredChildren(t *testing.T) {
	t.Parallel()
	requireGroupEnds(t, "500")
}

func requireGroupEnds(t *testing.T, children string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs waitid")
	}

	f := newFixture(t)
	p := f.start(t, app(t, "parent", "children="+children))
	p.Stop(t.Context())
	require.Equal(t, "exit status 0", p.ExitStatus())
	require.Eventually(t, func() bool {
		return errors.Is(syscall.Kill(-p.Info().PID, 0), syscall.ESRCH)
	}, patience, time.Millisecond)
}

// Faults: B15.
func TestClosedStdoutAfterReadyIsHarmless(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, app(t, "http"))
	_, err := get(t, p, "/close-stdout")
	require.NoError(t, err)
	body, err := get(t, p, "/")
	require.NoError(t, err)
	require.Equal(t, "hello", body)
}

func TestTemporaryDirectory(t *testing.T) {
	temp := shortDir(t)
	t.Setenv("TMPDIR", temp)
	f, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	require.NoError(t, err)
	s, err := f.NewSpawner(app(t, "http"))
	require.NoError(t, err)
	require.Empty(t, temporaries(t, temp))
	p, err := s.Spawn(t.Context())
	require.NoError(t, err)
	dirs := temporaries(t, temp)
	require.Len(t, dirs, 1)
	info, err := os.Stat(dirs[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	script, err := filepath.Glob(filepath.Join(dirs[0], "loaders.*", "python", "wsgi_loader.py"))
	require.NoError(t, err)
	require.Len(t, script, 1)
	info, err = os.Stat(script[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	p.Stop(t.Context())
	require.NoError(t, f.Close())

	require.Empty(t, temporaries(t, temp))
}

func temporaries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "passenger-*"))
	require.NoError(t, err)

	return found
}

func TestUnusableConfig(t *testing.T) {
	f, err := spawner.New(spawner.Config{
		Dir:             "relative",
		TermDelay:       -1,
		ShutdownTimeout: -2,
		Users:           9,
		DefaultUser:     "a\nb",
		DefaultGroup:    "c\x00",
		Version:         "1\r",
	})
	require.Nil(t, f)

	for _, part := range []string{
		`Dir: the spawner's directory "relative" is not a clean absolute path: name it as`,
		"TermDelay: the delay -1ns before SIGTERM is negative: use 0 for 10s",
		"ShutdownTimeout: the shutdown time-out -2ns is negative: use 0 for 1m0s",
		"Users: unknown user policy 9: use UserOfApp",
		`DefaultUser: the spawner's default user "a\nb" holds a line break or NUL: leave it out`,
		`DefaultGroup: the spawner's default group "c\x00" holds`,
		`Version: the spawner's version "1\r" holds`,
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestShellInFrontOfTheApplication(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	a.StartCommand = []string{"sh", "-c", testapp.Command()[0] + `; exit $?`}
	p := f.start(t, a)
	pid, err := get(t, p, "/pid")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(p.Info().PID), pid, "the application's pid is shown and not the shell's")
	p.Stop(t.Context())
	require.Equal(t, "exit status 0", p.ExitStatus())
}
