package spawner_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner"
)

// TestCommonCauses: what keeps applications from starting most often, with real
// interpreters, and what users see of it.
func TestCommonCauses(t *testing.T) {
	t.Parallel()
	leakgate.Check(t) // the listener, which its subtests see
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, taken, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	const (
		ruby   = "config.ru"
		python = "passenger_wsgi.py"
		node   = "app.js"
	)
	for _, test := range []struct {
		name, file, code string
		change           func(*spawner.App)
		category         spawner.Category
		summary, advice  string
	}{
		{
			"no interpreter", python, "", func(a *spawner.App) { a.Python = "python9" }, spawner.CategoryFileSystem,
			"the interpreter python9 was not found", "configure its absolute path",
		},
		{
			"no module, Python", python, "import flusk", nil, spawner.CategoryExplained,
			"needs 'flusk', which is not installed", "pip install",
		},
		{
			"no module, Ruby", ruby, "require 'senatra'", nil, spawner.CategoryExplained,
			"needs senatra, which is not installed", "bundle install",
		},
		{
			"no module, Node.js", node, "require('expres')", nil, spawner.CategoryExplained,
			"needs 'expres', which is not installed", "npm install",
		},
		{"no gem of the bundle", ruby, "run 1", func(a *spawner.App) {
			require.NoError(t, os.WriteFile(filepath.Join(a.Root, "Gemfile"), []byte("gem 'no-such-gem'\n"), 0o600))
		}, spawner.CategoryExplained, "gems of the application's bundle are not installed", "bundle install"},
		{
			"syntax error, Python", python, "def application(:\n", nil, spawner.CategoryExplained, "syntax error",
			"Correct it",
		},
		{
			"syntax error, Ruby", ruby, "run lambda { |env| [200, {}, [] }\n", nil, spawner.CategoryExplained,
			"syntax error", "Correct it",
		},
		{"syntax error, Node.js", node, "const = 1\n", nil, spawner.CategoryExplained, "syntax error", "Correct it"},
		{
			"port in use", python, "import socket\nsocket.create_server(('127.0.0.1', " + taken + "))\n", nil,
			spawner.CategoryExplained, "an address that is in use", "End the program that listens there",
		},
		{
			"read-only file system, Python", python, "raise OSError(30, 'Read-only file system', 'cache')\n", nil,
			spawner.CategoryExplained, "writes to a file system that is read-only", "TMPDIR",
		},
		{
			"full disk, Python", python, "import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n",
			nil, spawner.CategoryExplained, "finds no space left on a disk", "instance_registry_dir",
		},
		{
			"full disk, Ruby", ruby, "raise Errno::ENOSPC, 'cache'\n", nil, spawner.CategoryExplained,
			"finds no space left on a disk", "space or inodes",
		},
		{
			"full disk, Node.js", node, "throw new Error('ENOSPC: no space left on device, write')\n", nil,
			spawner.CategoryExplained, "finds no space left on a disk", "space or inodes",
		},
		{
			"disk quota, Ruby", ruby, "raise Errno::EDQUOT, 'cache'\n", nil, spawner.CategoryExplained,
			"finds no space left on a disk", "quota of its user",
		},
		{
			"open files, Python", python, "keep = [open('/dev/null') for _ in range(10000)]\n",
			func(a *spawner.App) { a.FileLimit = 64 }, spawner.CategoryExplained, "may open no further files",
			"app_file_descriptor_ulimit",
		},
		{
			"open files, Ruby", ruby, "KEEP = Array.new(10_000) { File.open('/dev/null') }\n",
			func(a *spawner.App) { a.FileLimit = 64 }, spawner.CategoryExplained, "may open no further files",
			"app_file_descriptor_ulimit",
		},
		{
			"memory, Python", python, "import resource\n" +
				"resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nbytearray(1 << 31)\n", nil,
			spawner.CategoryExplained, "gets no memory", "ulimit -v",
		},
		{
			"memory, Ruby", ruby, "Process.setrlimit(:AS, 1 << 30)\n'x' * (1 << 31)\n", nil,
			spawner.CategoryExplained, "gets no memory", "ulimit -v",
		},
		{
			"threads, Python", python, "raise RuntimeError(\"can't start new thread\")\n", nil,
			spawner.CategoryExplained, "cannot start a thread", "TasksMax",
		},
		{
			"threads, Ruby", ruby, "raise ThreadError, \"can't create Thread: Resource temporarily unavailable\"\n", nil,
			spawner.CategoryExplained, "cannot start a thread", "TasksMax",
		},
		{
			"exits with 0", "start", "exit 0", func(a *spawner.App) { a.StartCommand = []string{"sh", "start"} },
			spawner.CategoryStartup, "ended by itself without serving requests", "",
		},
		{
			"ends before it listens, Node.js", node, "console.log('done')", nil, spawner.CategoryExplained,
			"before an HTTP server of it listened", "",
		},
		{
			"never listens", "start", "exec sleep 600",
			func(a *spawner.App) { a.StartCommand, a.StartTimeout = []string{"sh", "start"}, time.Second },
			spawner.CategoryTimeout, "neither served on port", "$PORT",
		},
		{
			"too slow", python, "import time\ntime.sleep(600)\n",
			func(a *spawner.App) { a.StartTimeout = 3 * time.Second }, spawner.CategoryTimeout,
			"was not ready within 3s", "raise the start time-out",
		},
		{
			"no environment variable, Python", python, "import os\nos.environ['SHOP_SECRET']\n", nil,
			spawner.CategoryExplained, "needs the environment variable SHOP_SECRET", "env_files",
		},
		{
			"no environment variable, Ruby", ruby, "ENV.fetch('SHOP_SECRET')\n", nil, spawner.CategoryExplained,
			"needs the environment variable SHOP_SECRET", "env_files",
		},
		{
			"no environment variable, Node.js", node,
			"if (!process.env.SHOP_SECRET) throw new Error('Missing required environment variable: SHOP_SECRET')", nil,
			spawner.CategoryExplained, "lacks an environment variable: Error: Missing required environment " +
				"variable: SHOP_SECRET", "env_files",
		},
		{
			"no application object", python, "app = 1\n", nil, spawner.CategoryExplained,
			"does not define a callable named 'application'", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, "http")
			a.StartCommand = nil
			a.Python = interpreters.Find(t, "python", "/usr/bin/python3", "python3")
			interpreters.Find(t, map[string]string{
				ruby: "ruby",
				node: "node",
			}[test.file], map[string]string{
				ruby: "ruby",
				node: "node",
			}[test.file], "sh")
			require.NoError(t, os.WriteFile(filepath.Join(a.Root, test.file), []byte(test.code), 0o600))
			if test.change != nil {
				test.change(&a)
			}

			e := f.fail(t, a)
			require.Equal(t, test.category, e.Category, "%v", e)
			require.Contains(t, e.Summary, test.summary)
			require.Contains(t, e.Advice, test.advice)
			require.NotContains(t, e.Summary+e.Advice, "{")
		})
	}
}

// A process that handles the SIGTERM of a spawner that has lost patience may end in
// any way: it has hung nevertheless.
func TestHangingApplicationIsTimedOutHoweverItEnds(t *testing.T) {
	t.Parallel()

	// One factory for all, which hang side by side: what is left behind is looked for
	// when the last one has ended.
	f := newFixture(t)
	for _, test := range []struct{ name, interpreter, file, code string }{
		{"Ruby", "ruby", "config.ru", "warn 'hanging'\nsleep\n"},
		{"Ruby with a trap", "ruby", "config.ru", "trap('TERM') { exit!(7) }\nwarn 'hanging'\nsleep\n"},
		{"Ruby, directly", "ruby", "config.ru", "trap('TERM') { exit(0) }\nwarn 'hanging'\nsleep\n"},
		{
			"Python", "python", "passenger_wsgi.py",
			"import signal, sys\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(3))\nprint('hanging', " +
				"file=sys.stderr, flush=True)\nwhile True: signal.pause()\n",
		},
		{
			"Python without a handler", "python", "passenger_wsgi.py",
			"import signal, sys\nprint('hanging', file=sys.stderr, flush=True)\nwhile True: signal.pause()\n",
		},
		{"Node.js", "node", "app.js", "process.on('SIGTERM', () => process.exit(0)); console.error('hanging'); " +
			"setInterval(() => {}, 1e6)\n"},
		{
			"Node.js with a status", "node", "app.js",
			"process.on('SIGTERM', () => process.exit(5)); console.error('hanging'); setInterval(() => {}, 1e6)\n",
		},
		{"start command", "sh", "start", "trap 'exit 4' TERM\necho hanging >&2\nwhile :; do sleep 0.1; done\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			interpreter := interpreters.Find(t, test.interpreter,
				map[string]string{"python": "/usr/bin/python3"}[test.interpreter], test.interpreter)
			a := app(t, "http")

			a.StartCommand, a.StartTimeout = nil, 4*time.Second
			switch test.interpreter {
			case "python":
				a.Python = interpreter
			case "sh":
				a.StartCommand = []string{"sh", "start"}
			}

			if strings.Contains(test.name, "directly") {
				a.SpawnMethod = spawner.DirectSpawning
			}

			require.NoError(t, os.WriteFile(filepath.Join(a.Root, test.file), []byte(test.code), 0o600))
			e := f.fail(t, a)
			require.Equal(t, spawner.CategoryTimeout, e.Category, "%v", e)
			require.Contains(t, e.Summary, "within 4s")
			require.Empty(t, e.ExitStatus)
			require.Contains(t, e.Output, "hanging")
			require.NotContains(t, e.Output, "!> ")
			require.NotContains(t, f.log.String(), "reading an error")
		})
	}
}

// The log of a failed start has what the application says, in one record.
func TestLogHasTheMessageTheOutputAndTheAdvice(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ interpreter, file, code, said string }{
		{
			"python", "passenger_wsgi.py", "import sys\nprint('printed before', file=sys.stderr)\nimport flusk\n",
			"No module named",
		},
		{"ruby", "config.ru", "warn 'printed before'\nraise 'out of cheese'\n", "out of cheese"},
		{"node", "app.js", "console.error('printed before'); throw new Error('out of cheese')\n", "out of cheese"},
	} {
		t.Run(test.interpreter, func(t *testing.T) {
			t.Parallel()
			interpreter := interpreters.Find(t, test.interpreter,
				map[string]string{"python": "/usr/bin/python3"}[test.interpreter], test.interpreter)
			f := newFixture(t)
			a := app(t, "http")
			a.StartCommand = nil
			a.Env["SHOP_SECRET"] = "canary of the environment"
			if test.interpreter == "python" {
				a.Python = interpreter
			}

			require.NoError(t, os.WriteFile(filepath.Join(a.Root, test.file), []byte(test.code), 0o600))
			e := f.fail(t, a)
			lines := f.log.lines(e.ID, `"appMessage"=`, test.said, test.file, `"output"=`, "printed before",
				`"advice"=`, "of the loader")
			require.Len(t, lines, 1, f.log.String())
			require.NotContains(t, lines[0], f.dir+"/loaders")
			require.NotContains(t, f.log.String(), "canary")
		})
	}
}

// TestWrongUser: the application's user may not read its files.
func TestWrongUser(t *testing.T) {
	t.Parallel()
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	f := newUserFixture(t)
	a := tenantApp(t, python, alice, alice)
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "passenger_wsgi.py"), []byte("import settings\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(a.Root, "settings.py"), []byte("secret = 1\n"), 0o600))
	a.StartCommand, a.StartupFile, a.Python, a.User = nil, "", python, "bob"
	e := f.fail(t, a)
	require.Contains(t, e.Summary, "Permission denied")
	require.Contains(t, e.Advice, "bob")
	require.Contains(t, e.User, "bob (uid 61002)")
}
