package spawner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/randtext"
	"github.com/gopassenger/passenger/loaderproto"
)

func TestEveryProblemHasWords(t *testing.T) {
	for p := internalProblem; p <= readyUnfinished; p++ {
		w, ok := wordings[p]
		require.True(t, ok, "problem %d", p)
		d := diagnosis{app: &App{Root: "/app"}, err: errors.New("reason"), fault: fault{problem: p, subject: "subject"}}
		require.NotContains(t, d.fill(w.summary)+d.fill(w.advice), "{")
		require.NotZero(t, w.category)
	}
}

// A start that fails for want of descriptors names them, whatever could not be opened.
// Faults: F2.
func TestMissingDescriptorsAreTheProblem(t *testing.T) {
	for _, cause := range []error{syscall.EMFILE, syscall.ENFILE} {
		err := &fs.PathError{Op: "openat", Path: ".python-version", Err: cause}
		for _, p := range []problem{versionUnclear, envFileUnusable, dirUnusable, rootUnusable, notServing} {
			d := &diagnosis{app: &App{Root: "/app"}, err: &fault{problem: p, subject: "x", err: err}}
			e := &SpawnError{}
			d.explain(e)
			require.Equal(t, "there are not enough file descriptors to start a process: "+cause.Error(), e.Summary)
			require.Contains(t, e.Advice, "LimitNOFILE")
		}
	}
}

func TestClues(t *testing.T) {
	exited := &loaderproto.Error{Kind: loaderproto.ExitedEarly}
	for _, test := range []struct{ output, summary string }{
		{
			"Traceback (most recent call last):\nModuleNotFoundError: No module named 'flask'\n",
			"needs 'flask', which is not installed",
		},
		{"ImportError: No module named django.core\n", "needs django.core, which is not installed"},
		{"Error: Cannot find module 'express'\nRequire stack:\n", "needs 'express', which is not installed"},
		{"Error: Cannot find module '/srv/shop/dist/index.js'\n    at x", "loads /srv/shop/dist/index.js, which does not exist"},
		{
			"Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'koa' imported from /app\n",
			"needs 'koa', which is not installed",
		},
		{"in 'require': cannot load such file -- sinatra (LoadError)\n", "needs sinatra, which is not installed"},
		{"cannot load Rack (cannot load such file -- rack). Add gem \"rack\"\n", "needs rack, which is not installed"},
		{
			"Could not find rails-7.0 in any of the sources (Bundler::GemNotFound)\n",
			"gems of the application's bundle are not installed: Could not find rails-7.0",
		},
		{"  File \"x.py\", line 1\nSyntaxError: invalid syntax\n", "syntax error: SyntaxError: invalid syntax"},
		{"config.ru:3: syntax error, unexpected end-of-input\n", "syntax error: config.ru:3"},
		{
			"app.rb:1:in `initialize': Permission denied @ rb_sysopen - /srv/shop/key (Errno::EACCES)\n",
			"may not do what it needs to: Permission denied @ rb_sysopen - /srv/shop/key (Errno::EACCES)",
		},
		{
			"Errno::EACCES: Permission denied @ rb_sysopen - /srv/shop/key\n",
			"may not do what it needs to: Errno::EACCES: Permission denied @ rb_sysopen - /srv/shop/key",
		},
		{
			"Error: listen EADDRINUSE: address already in use :::3000\n",
			"address that is in use: Error: listen EADDRINUSE",
		},
		{
			"  File \"/app/passenger_wsgi.py\", line 2, in <module>\n    os.environ['SHOP_SECRET']\n  File \"<frozen " +
				"os>\", line 679, in __getitem__\nKeyError: 'SHOP_SECRET'\n",
			"needs the environment variable SHOP_SECRET, which is not set",
		},
		{"  File \"/usr/lib/python3.9/os.py\", line 679, in __getitem__\n    raise KeyError(key) from " +
			"None\nKeyError: 'DSN'\n", "needs the environment variable DSN"},
		{"config.ru:1:in `fetch': key not found: \"SECRET\" (KeyError)\n", "needs the environment variable SECRET"},
		{"Missing `secret_key_base` for 'production' environment\n", "needs the environment variable SECRET_KEY_BASE"},
		{
			"Error: Missing required environment variable: STRIPE_KEY\n",
			"lacks an environment variable: Error: Missing required environment variable: STRIPE_KEY",
		},
		{
			"Missing environment variables:\n    PORTAL: undefined\n",
			"lacks an environment variable: Missing environment variables",
		},
		{
			"django.core.exceptions.ImproperlyConfigured: Set the SECRET_KEY environment variable\n",
			"lacks an environment variable: django.core",
		},
		{
			"decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value.\n",
			"needs the environment variable SECRET_KEY",
		},
		{"panic: required key DATABASE_URL missing value\n", "needs the environment variable DATABASE_URL"},
		{"env: required environment variable \"API_URL\" is not set\n", "lacks an environment variable: env: required"},
		{
			"Environment variable DATABASE_URL must be set\n",
			"lacks an environment variable: Environment variable DATABASE_URL must be set",
		},
		{
			"Error: DATABASE_URL environment variable is required\n",
			"lacks an environment variable: Error: DATABASE_URL",
		},
		{"KeyError: 'some key of a dict'\n", "ended before it was ready"},
		{"key not found: :colour (KeyError)\n", "ended before it was ready"},
		{"something else\n", "ended before it was ready (exit status 1)"},
	} {
		var e SpawnError
		d := diagnosis{
			app:    &App{Root: "/app"},
			err:    exited,
			status: "exit status 1",
			output: test.output,
		}
		d.explain(&e)
		require.Contains(t, e.Summary, test.summary)
		require.Equal(t, CategoryStartup, e.Category)

		e = SpawnError{}
		explained := &loaderproto.Error{Kind: loaderproto.AppError, Message: &loaderproto.Message{Text: test.output}}
		d = diagnosis{app: &App{Root: "/app"}, err: explained, status: "exit status 1"}
		d.explain(&e)
		require.Equal(t, CategoryExplained, e.Category)
		require.Equal(t, explained.Message, e.Message)

		e = SpawnError{}
		d = diagnosis{
			app:    &App{Root: "/app"},
			err:    &loaderproto.Error{Kind: loaderproto.TimedOut, Step: loaderproto.AwaitReply},
			output: test.output,
		}
		d.explain(&e)
		require.Equal(t, CategoryTimeout, e.Category)
		require.Contains(t, e.Summary, "was not ready within")
	}
}

func TestSummariesOfTracebacksHaveTheWholeException(t *testing.T) {
	const frames = "Traceback (most recent call last):\n" +
		"  File \"/app/main.py\", line 7, in <module>\n    s = Settings()\n        ^^^^^^^^^^\n"

	for text, want := range map[string]string{
		frames + "ValueError: no": "ValueError: no",
		frames + "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\ndatabase_url\n" +
			"  Field required [type=missing]\n    For further information visit https://errors.pydantic.dev\n": "" +
			"pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings database_url " +
			"Field required [type=missing] For further information visit https://errors.pydantic.dev",
		frames + "KeyError: 1\n\nDuring handling of the above exception, another exception occurred:\n\n" + frames +
			"ValueError: two": "ValueError: two",
		"The application's lifespan did not start: " + frames + "OSError: down": "" +
			"The application's lifespan did not start: OSError: down",
		"Traceback (most recent call last):\nValueError: no frames":      "ValueError: no frames",
		"Traceback (most recent call last):\n  | ValueError: of a group": "| ValueError: of a group",
		"Traceback (most recent call last):":                             "",
		"Error: of Node.js\n    at main":                                 "Error: of Node.js",
	} {
		var e SpawnError
		d := diagnosis{
			app: &App{Root: "/app"},
			err: &loaderproto.Error{Kind: loaderproto.AppError, Message: &loaderproto.Message{Text: text}},
		}
		d.explain(&e)
		require.Equal(t, "the application reported an error: "+want, e.Summary)
	}
}

// A script of package.json whose program is missing shows that dependencies are.
func TestProgramThatAScriptMissesIsNamed(t *testing.T) {
	for output, want := range map[string]string{
		"> start\n> next start\n\nsh: 1: next: not found\n":            "the application needs next, which is not installed",
		"/bin/bash: line 1: gunicorn: command not found\n":             "the application needs gunicorn, which is not installed",
		"sh: 1: git: not found\nError: Cannot find module 'express'\n": "the application needs 'express', which is not installed",
		"page not found\n": "the application ended before it was ready (exit status 127)",
	} {
		var e SpawnError
		d := diagnosis{
			app:     &App{Root: "/app"},
			err:     &loaderproto.Error{Kind: loaderproto.ExitedEarly},
			command: []string{"npm", "start"},
			status:  "exit status 127",
			output:  output,
		}
		d.explain(&e)
		require.Equal(t, want, e.Summary)
	}
}

// An application that runs a server while it is loaded never becomes ready.
func TestServerOfTheApplicationItselfIsNamed(t *testing.T) {
	for output, want := range map[string]string{
		" * Running on http://127.0.0.1:5000\nPress CTRL+C to quit\n":             "http://127.0.0.1:5000",
		"INFO:     Uvicorn running on http://[::1]:8000 (Press CTRL+C to quit)\n": "http://[::1]:8000",
		"Listening on http://127.0.0.1:8080/\n":                                   "http://127.0.0.1:8080",
		"Secure server listening at: https://localhost:3443.\n":                   "https://localhost:3443",
		"running on empty; the database is at http://db\n":                        "",
	} {
		var e SpawnError
		d := diagnosis{
			app:    &App{Root: "/app", StartTimeout: time.Second},
			err:    &loaderproto.Error{Kind: loaderproto.TimedOut, Step: loaderproto.AwaitReply},
			output: output,
		}
		d.explain(&e)

		summary := "the application was not ready within 1s"
		if want != "" {
			summary += ": it serves " + want + " by a server of its own"
		}

		require.Equal(t, summary, e.Summary)
		require.Equal(t, CategoryTimeout, e.Category)
	}
}

func TestStartFaults(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "binary")
	require.NoError(t, os.WriteFile(binary, []byte("\x7fELF"), 0o600))

	for errno, want := range map[syscall.Errno]struct {
		problem  problem
		category Category
	}{
		syscall.EAGAIN:  {processLimit, CategoryOperatingSystem},
		syscall.ENOMEM:  {memoryLimit, CategoryOperatingSystem},
		syscall.EMFILE:  {descriptorLimit, CategoryOperatingSystem},
		syscall.ENFILE:  {descriptorLimit, CategoryOperatingSystem},
		syscall.ENOEXEC: {badFormat, CategoryOperatingSystem},
		syscall.EACCES:  {notExecutable, CategoryFileSystem},
		syscall.ENOENT:  {startFailed, CategoryOperatingSystem},
		syscall.EIO:     {startFailed, CategoryOperatingSystem},
	} {
		err := startFault(binary, &fs.PathError{Op: "fork/exec", Path: binary, Err: errno})
		var f *fault
		require.ErrorAs(t, err, &f)
		require.Equal(t, want.problem, f.problem, errno)
		require.Equal(t, want.category, wordings[f.problem].category)
		require.ErrorIs(t, err, errno)
	}
}

func TestOffendingParent(t *testing.T) {
	stat := func(path string) (fs.FileInfo, error) {
		if strings.HasPrefix(path, "/srv/private/") {
			return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrPermission}
		}

		return nil, nil //nolint:nilnil // the information is not looked at
	}
	err := checkRoot("/srv/private/apps/shop", stat)
	var f *fault
	require.ErrorAs(t, err, &f)
	require.Equal(t, rootForbidden, f.problem)
	require.Equal(t, "/srv/private", f.subject)
	require.ErrorIs(t, err, fs.ErrPermission)
}

func TestJournal(t *testing.T) {
	j := newJournal()
	j.enter(StepPrepare)
	j.enter(StepStart)
	j.end(StepFailed)
	require.Equal(t, StepFailed, j.steps[1].State)
	require.Equal(t, StepPerformed, j.steps[0].State)
	require.Equal(t, StepNotStarted, j.steps[2].State)
	require.Equal(t, StepStart, j.steps.failed())
}

// Faults: R-02.
func TestWorkDirectoriesHaveRandomNames(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := randtext.Alphanumeric(passwordLength)
		require.Regexp(t, `^[a-zA-Z0-9]{24}$`, s)
		require.False(t, seen[s])
		seen[s] = true
	}

	require.True(t, strings.HasPrefix(newGUPID(time.Unix(600, 0)), "a-"))
	require.LessOrEqual(t, len(newGUPID(time.Now())), 20)
	require.Regexp(t, `^[0-9a-f]{8}$`, newErrorID())
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.1.2.3:80": true, "[::1]:80": true, "localhost:80": true,
		"[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:80":            false, "[::]:80": false, "10.0.0.1:80": false, "localhost.:80": false,
		"127.0.0.1": false,
	} {
		require.Equal(t, want, isLoopback(addr), addr)
	}
}

func TestExtract(t *testing.T) {
	dir := t.TempDir()
	files := fstest.MapFS{"a/b/c.py": {Data: []byte("x")}, "d.rb": {Data: []byte("y")}}
	require.NoError(t, extract(files, dir, false))
	content, err := os.ReadFile(filepath.Join(dir, "a/b/c.py"))
	require.NoError(t, err)
	require.Equal(t, "x", string(content))
	require.ErrorIs(t, extract(files, dir, false), fs.ErrExist)
}

// Faults: R-03.
func TestForeignDirectoryIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, socketDirName), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(dir, socketDirName), 0o777))
	_, err := openPrivateDir(dir, false)
	require.ErrorContains(t, err, "only we can write to")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "only what was there before")

	require.NoError(t, os.Remove(filepath.Join(dir, socketDirName)))
	require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, socketDirName)))
	_, err = openPrivateDir(dir, false)
	require.ErrorContains(t, err, "only we can write to")
}
