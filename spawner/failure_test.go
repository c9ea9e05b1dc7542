package spawner_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// short is a start time-out that lets an application start, also beside others.
const short = 2 * time.Second

func with(a spawner.App, change func(*spawner.App)) spawner.App {
	change(&a)
	return a
}

func impatient(a *spawner.App) { a.StartTimeout = short }

func say(t *testing.T, text string, params ...string) spawner.App {
	t.Helper()
	return app(t, "say-after", append(params, "text="+text)...)
}

// TestFailures has the rows of the failure table: what the application does,
// and what its user sees.
func TestFailures(t *testing.T) {
	t.Parallel()
	const printed = "print=what it printed"

	ready := "!> Ready\n!> socket: main;unix:{socket};http_session;1\n"
	for _, test := range []struct {
		name     string
		app      spawner.App
		category spawner.Category
		kind     loaderproto.Kind // zero means no error of the protocol
		step     spawner.StepName
		summary  string
		status   string
	}{
		{"exits", app(t, "exit", "status=3", printed), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe, "ended before it was ready", "exit status 3"},
		{"exits with 0", app(t, "exit", printed), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe, "without serving", "exit status 0"},
		{"exits after the request", app(t, "exit-after-request", "status=4", printed), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepLoad, "ended before it was ready", "exit status 4"},
		{"is killed", app(t, "crash", printed), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe, "killed from outside", "signal: killed"},
		{"is killed after the request", app(t, "crash-after-request"), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepLoad, "killed from outside", "signal: killed"},
		{
			"crashes", with(app(t, "http"), func(a *spawner.App) {
				a.StartCommand = []string{"/bin/sh", "-c", "ulimit -c 0; kill -SEGV $$"}
			}),
			spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe,
			"crashed", "signal: segmentation fault",
		},
		{"closes its stdout", with(app(t, "close", printed), impatient), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe, "closed its stdout", ""},
		{"says nothing", with(app(t, "silent", printed), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepServe, "neither served on port", ""},
		{"says nothing after the request", with(app(t, "silent-after-request"), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepLoad, "not ready within 2s", ""},
		{"says half a line", with(app(t, "say", "text=!> I have"), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepServe, "said nothing", ""},
		{"says half a block", with(say(t, ready), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepReady, "did not finish", ""},
		{"says half an error", with(say(t, "!> Error\n!> html: true\n"), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepLoad, "did not finish", ""},
		{"says an error without an end", with(say(t, "!> Error\n!> \ntext"), impatient), spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepLoad, "did not finish", ""},
		{
			"does not read the request", with(app(t, "deaf"), func(a *spawner.App) {
				a.StartTimeout = short
				long := strings.Repeat("x", 60<<10)
				a.GroupName, a.Ruby, a.NodeJS, a.Python = long, long, long, long
				a.Environment, a.StartupFile, a.BaseURI = long, long, "/"+long

				a.Env = map[string]string{"PASSENGER_TESTAPP": "deaf"}
				for _, name := range []string{
					"RAILS_ENV",
					"RACK_ENV",
					"WSGI_ENV",
					"NODE_ENV",
					"PASSENGER_APP_ENV",
					"RAILS_RELATIVE_URL_ROOT",
					"RACK_BASE_URI",
					"PASSENGER_BASE_URI",
				} {
					a.Env[name] = ""
				}
			}),
			spawner.CategoryTimeout, loaderproto.TimedOut, spawner.StepRequest, "did not read its options", "",
		},
		{"another version", app(t, "say", "text=!> I have control 2.0\n"), spawner.CategoryProtocol, loaderproto.UnsupportedVersion, spawner.StepServe, `version "2.0"`, ""},
		{"not the handshake", app(t, "say", "text=!> Hello\n", printed), spawner.CategoryProtocol, loaderproto.UnexpectedLine, spawner.StepServe, `it said "Hello"`, ""},
		{"not a reply", say(t, "!> Hello\n"), spawner.CategoryProtocol, loaderproto.UnexpectedLine, spawner.StepLoad, `it said "Hello"`, ""},
		{"a reply cut short", say(t, "!> Rea", "then=exit"), spawner.CategoryProtocol, loaderproto.TruncatedLine, spawner.StepLoad, "broke the spawn protocol", "exit status 0"},
		{"a block cut short", say(t, ready, "then=exit"), spawner.CategoryProtocol, loaderproto.TruncatedBlock, spawner.StepReady, "broke the spawn protocol", "exit status 0"},
		{"no colon", say(t, "!> Ready\n!> socket\n"), spawner.CategoryProtocol, loaderproto.MalformedLine, spawner.StepReady, "broke the spawn protocol", ""},
		{"an unknown key", say(t, "!> Ready\n!> x: y\n"), spawner.CategoryProtocol, loaderproto.UnknownKey, spawner.StepReady, "broke the spawn protocol", ""},
		{"no socket", say(t, "!> Ready\n!> \n"), spawner.CategoryProtocol, loaderproto.NoRequestSocket, spawner.StepReady, "broke the spawn protocol", ""},
		{"a bad pid", say(t, "!> Ready\n!> pid: -1\n"), spawner.CategoryProtocol, loaderproto.BadPID, spawner.StepReady, "broke the spawn protocol", ""},
		{"a line too long", app(t, "long-line", "length=100000"), spawner.CategoryProtocol, loaderproto.LineTooLong, spawner.StepServe, "line too long", ""},
		{"an explanation", app(t, "error", "text=\nno database\nmore", printed), spawner.CategoryExplained, loaderproto.AppError, spawner.StepLoad, "no database", "exit status 1"},
		{"an explanation at once", app(t, "error-at-once", "text=<b>x</b>", "html=true"), spawner.CategoryExplained, loaderproto.AppError, spawner.StepServe, "see its page", "exit status 1"},
		{"leaves a process", app(t, "orphan"), spawner.CategoryStartup, loaderproto.ExitedEarly, spawner.StepServe, "ended before it was ready", "exit status 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			began := time.Now()
			e := f.fail(t, test.app)
			require.Less(t, time.Since(began), test.app.StartTimeout+patience)
			require.Equal(t, test.category, e.Category, e)
			var p *loaderproto.Error
			require.ErrorAs(t, e, &p)
			require.Equal(t, test.kind, p.Kind, p)
			require.Contains(t, e.Summary, test.summary)
			require.Equal(t, test.status, e.ExitStatus)
			requireFailedStep(t, e.Journey, test.step)
			if test.app.Env["PASSENGER_TESTAPP_PRINT"] != "" {
				require.Contains(t, e.Output, "what it printed")
				printed := f.log.lines("what it printed", `"stream"="stderr"`, `"app"="app"`, `"pid"=`)
				require.Len(t, printed, 1, f.log.String())
			}

			require.Len(t, f.log.lines(e.ID, e.Category.String()), 1, f.log.String())
			if test.kind == loaderproto.AppError {
				require.NotNil(t, e.Message)
				require.Equal(t, test.app.Env["PASSENGER_TESTAPP_TEXT"], e.Message.Text)
				require.Equal(t, test.app.Env["PASSENGER_TESTAPP_HTML"] == "true", e.Message.HTML)
			} else if test.category != spawner.CategoryCanceled {
				require.NotEmpty(t, e.Advice)
			}
		})
	}
}

func requireFailedStep(t *testing.T, j spawner.Journey, name spawner.StepName) {
	t.Helper()

	want := spawner.StepPerformed
	for _, s := range j {
		if s.Name == name {
			require.Equal(t, spawner.StepFailed, s.State, "%v", j)
			want = spawner.StepNotStarted
			continue
		}

		require.Equal(t, want, s.State, "%v", j)
	}

	require.Equal(t, spawner.StepNotStarted, want, "no step %q", name)
}

// Faults: A8.
func TestUnacceptableSocketsAreRefused(t *testing.T) {
	t.Parallel()

	outside := filepath.Join(shortDir(t), "s")
	for name, test := range map[string]struct{ socket, reason string }{
		"relative":               {"unix:socket", "unacceptable address"},
		"climbing":               {"unix:{dir}/../s", "unacceptable address"},
		"abstract":               {"unix:@s", "unacceptable address"},
		"missing":                {"unix:{dir}/none", "cannot be found"},
		"elsewhere":              {"unix:" + outside, "is not in the directory"},
		"nested":                 {"unix:{dir}/x/s", "is not in the directory"},
		"a directory":            {"unix:{dir}", "is not in the directory"},
		"foreign host":           {"tcp://192.0.2.1:80", "loopback"},
		"every address":          {"tcp://0.0.0.0:80", "loopback"},
		"a name of another host": {"tcp://example.com:80", "loopback"},
		"a name with localhost":  {"tcp://localhost.example.com:80", "loopback"},
		"negative concurrency":   {"tcp://127.0.0.1:80;session;-1", "malformed socket"},
		"much concurrency":       {"tcp://127.0.0.1:80;session;1000000000000", "malformed socket"},
		"2,000 sockets":          {strings.Repeat("tcp://127.0.0.1:80;session;1\n!> socket: x;", 2000) + "tcp://127.0.0.1:80;session;1", "too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			if !strings.Contains(test.socket, ";") {
				test.socket += ";session;1"
			}

			e := f.fail(t, say(t, "!> Ready\n!> socket: main;"+test.socket+"\n!> \n"))
			require.Equal(t, spawner.CategoryProtocol, e.Category)
			require.Contains(t, e.Summary, test.reason)
		})
	}
}

// Faults: A14, R-09, R-54.
func TestSocketReplacedBySomethingElseIsRefused(t *testing.T) {
	t.Parallel()

	f := newFixture(t)
	for name, make := range map[string]string{
		"file": "touch $d/s", "link": "ln -s /run/x $d/s", "fifo": "mkfifo $d/s",
	} {
		a := app(t, "http")
		script := `echo '!> I have control 1.0'
while read -r line && [ -n "$line" ]; do case $line in socket_dir:*) d=${line#socket_dir: };; esac; done
` + make + `; printf '!> Ready\n!> socket: main;unix:%s/s;session;1\n!> \n' $d; cat`
		require.NoError(t, os.WriteFile(filepath.Join(a.Root, "script"), []byte(script), 0o600))
		a.StartCommand = []string{"sh", "script"}
		e := f.fail(t, a)
		require.Contains(t, e.Summary, "is not a socket", name)
		requireFailedStep(t, e.Journey, spawner.StepCheck)
	}
}

func TestPIDOfAnotherUser(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}

	interpreters.Root(t, "to become another user")
	foreign := exec.CommandContext(t.Context(), "sleep", "1000")
	foreign.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	require.NoError(t, foreign.Start())
	defer func() {
		_ = foreign.Process.Kill()
		_ = foreign.Wait()
	}()
	f := newFixture(t)
	e := f.fail(t, app(t, "http", "pid="+strconv.Itoa(foreign.Process.Pid)))
	require.Equal(t, spawner.CategoryProtocol, e.Category)
	require.Contains(t, e.Summary, "does not belong to user")
}

// Faults: A16.
func TestPreparationFailuresNameTheirCause(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	file := write("file", "", 0o644)
	empty := t.TempDir()
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.Symlink(target, path))

		return path
	}
	dangling, circle := link("current", "releases/7"), link("loop", "loop")
	pointless := link("circle/passenger_wsgi.py", "passenger_wsgi.py")

	command := func(args ...string) spawner.App { return spawner.App{Root: dir, StartCommand: args} }
	for _, test := range []struct {
		name    string
		app     spawner.App
		summary string
		cause   error
	}{
		{"no root", spawner.App{Root: filepath.Join(dir, "none"), Type: "wsgi"}, "does not exist", fs.ErrNotExist},
		{"root is a file", spawner.App{Root: file, Type: "wsgi"}, "is not a directory", nil},
		{"root is a link to nothing", spawner.App{Root: dangling}, dangling + ", which leads to releases/7, does not exist", fs.ErrNotExist},
		{"root is below a link to nothing", spawner.App{Root: filepath.Join(dangling, "app")}, filepath.Join(dangling, "app") + ", below " + dangling + ", which leads to releases/7, does not exist", fs.ErrNotExist},
		{"root is a circle", spawner.App{Root: circle}, circle + ", which leads to loop, cannot be used", syscall.ELOOP},
		{"startup file is a circle", spawner.App{Root: filepath.Dir(pointless)}, "the startup file " + pointless + " cannot be used: too many levels", syscall.ELOOP},
		{"nothing in root", spawner.App{Root: empty}, "no application was found in " + empty, spawner.ErrNoApp},
		{"no startup file", spawner.App{Root: empty, Type: "wsgi"}, "the startup file " + filepath.Join(empty, "passenger_wsgi.py"), fs.ErrNotExist},
		{"startup file is a directory", spawner.App{Root: dir, Type: "wsgi", StartupFile: "."}, "not a regular file", nil},
		{"no interpreter", spawner.App{Root: dir, Type: "wsgi", StartupFile: "file", Python: "no-such-python"}, "the interpreter no-such-python was not found", fs.ErrNotExist},
		{"no start command", command("no-such-command"), "the start command no-such-command was not found", fs.ErrNotExist},
		{"dots for a start command", command(".."), "was not found", fs.ErrNotExist},
		{"start command without permission", command("./file"), file + " cannot be executed", fs.ErrPermission},
		{"start command is a directory", command(dir), "cannot be executed", fs.ErrPermission},
		{"no such interpreter in the first line", command(write("script", "#!/no/such/sh -e\n", 0o755)), `names the program "/no/such/sh"`, fs.ErrNotExist},
		{"line end of Windows", command(write("crlf", "#!/bin/sh\r\n", 0o755)), `names the program "/bin/sh\r"`, fs.ErrNotExist},
		{"not a program", command(write("text", "hello", 0o755)), "is not a program for this system", syscall.ENOEXEC},
		{"another user", spawner.App{Root: dir, StartCommand: []string{"true"}, User: "no-such-user"}, `cannot run as user "no-such-user"`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			e := f.fail(t, test.app)
			require.Contains(t, e.Summary, test.summary)
			require.NotEmpty(t, e.Advice)
			require.NotContains(t, e.Summary+e.Advice, "{")
			if test.cause != nil {
				require.ErrorIs(t, e, test.cause)
			}

			require.Contains(t, []spawner.StepName{spawner.StepPrepare, spawner.StepStart}, failedStep(e.Journey))
		})
	}
}

func TestCheckStartsNothing(t *testing.T) {
	for _, method := range []string{spawner.DirectSpawning, spawner.SmartSpawning} {
		f := newFixture(t)
		a := app(t, "http")
		a.SpawnMethod = method
		require.NoError(t, f.check(t, a))
		require.Empty(t, f.log.String())

		left, err := filepath.Glob(filepath.Join(f.dir, "apps.s", "*"))
		require.NoError(t, err)
		require.Empty(t, left, "no directory of sockets is left")
	}
}

// A virtual environment that is there and cannot be used is named, whatever is wrong
// with it; a directory that only has such a name is none.
func TestVirtualEnvironmentsThatCannotBeUsed(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"venv", ".venv"} {
		for what, test := range map[string]struct {
			make   func(dir string) error
			reason string
		}{
			"a link to a Python that was removed": {func(dir string) error {
				return os.Symlink("/no/such/python3", filepath.Join(dir, "bin", "python"))
			}, "bin/python, which leads to /no/such/python3: no such file"},
			"a link in a circle": {func(dir string) error {
				return os.Symlink("python", filepath.Join(dir, "bin", "python"))
			}, "bin/python, which leads to python: too many levels"},
			"no right to execute": {func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "bin", "python"), nil, 0o600)
			}, "bin/python: permission denied"},
			"no Python": {func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), nil, 0o600)
			}, "bin/python: no such file"},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				dir := filepath.Join(root, name)
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(root, "passenger_wsgi.py"), nil, 0o600))
				require.NoError(t, test.make(dir))

				f := newFixture(t)
				e := f.fail(t, spawner.App{Root: root})
				require.Contains(t, e.Summary, "he virtual environment "+dir+" cannot be used: ")
				require.Contains(t, e.Summary, test.reason)
				require.Contains(t, e.Advice, "python3 -m venv --clear "+dir)
				require.Equal(t, spawner.StepPrepare, failedStep(e.Journey))
			})
		}
	}

	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "venv", "bin"), 0o700))
	startup := filepath.Join(root, "passenger_wsgi.py")
	require.NoError(t, os.WriteFile(startup, []byte("raise Exception('another Python')"), 0o600))

	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	e := newFixture(t).fail(t, spawner.App{Root: root, Python: python})
	require.NotContains(t, e.Summary, "virtual environment")
	e = newFixture(t).fail(t, spawner.App{Root: root})
	require.NotContains(t, e.Summary, "virtual environment")
}

func failedStep(j spawner.Journey) spawner.StepName {
	for _, s := range j {
		if s.State == spawner.StepFailed {
			return s.Name
		}
	}

	return ""
}

// Faults: R-72.
func TestCommandIsLookedUpInTheAppsPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(testCommand(t), filepath.Join(dir, "the-app")))
	a := app(t, "http")
	a.StartCommand = []string{"the-app"}
	require.Contains(t, f.fail(t, a).Summary, "was not found")
	a.Env["PATH"] = "relative::" + dir
	f.start(t, a)
}

func testCommand(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)

	return path
}

func TestCancelDuringHandshake(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, err := f.NewSpawner(app(t, "silent", "print=started\n"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cause := errors.New("shutting down")
	go func() {
		poll := time.NewTicker(time.Millisecond)
		defer poll.Stop()

		for len(f.log.lines("started")) == 0 {
			select {
			case <-poll.C:
			case <-ctx.Done(): // the spawn ended without a word
				return
			}
		}

		cancel(cause)
	}()
	began := time.Now()
	_, err = s.Spawn(ctx)
	require.Less(t, time.Since(began), limit)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	var e *spawner.SpawnError
	require.ErrorAs(t, err, &e)
	require.Equal(t, spawner.CategoryCanceled, e.Category)
	requireFailedStep(t, e.Journey, spawner.StepServe)
	require.Contains(t, e.Output, "started")
}

func TestDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s, err := f.NewSpawner(app(t, "silent"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err = s.Spawn(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "exit", "status=1")
	a.Env["DATABASE_PASSWORD"] = "canary"
	e := f.fail(t, a)
	require.NotContains(t, f.log.String()+fmt.Sprintf("%+v", e), "canary")
}
