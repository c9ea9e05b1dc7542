package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// cause is a reason why an application does not start, and what tells it.
type cause struct {
	name string
	// language is that of the interpreter, and files are the application's.
	language string
	files    map[string]string
	args     []string
	// tells are parts of texts that lead to the cause, where what the application said
	// is: its own words, and the place in its code.
	tells []string
	// summary and advice are ours.
	summary, advice string
}

const secretValue = "hunter2 is the secret"

func causes(taken string) []cause {
	python := func(code string) map[string]string { return map[string]string{"passenger_wsgi.py": code} }
	ruby := func(code string) map[string]string { return map[string]string{"config.ru": code} }
	node := func(code string) map[string]string { return map[string]string{"app.js": code} }
	command := func(code string) map[string]string { return map[string]string{"run.sh": code} }
	shell := []string{"--start-command", "sh run.sh"}
	soon := []string{"--start-timeout", "3"}
	never := append([]string{"--start-timeout", "3"}, shell...)

	return []cause{
		{
			"no module, Python", "python", python("import flusk\n"), nil,
			[]string{"passenger_wsgi.py\", line 1", "No module named 'flusk'"},
			"needs 'flusk'", "pip install",
		},
		{
			"no module, Ruby", "ruby", ruby("require 'senatra'\n"), nil,
			[]string{"config.ru:1", "senatra"},
			"needs senatra", "bundle install",
		},
		{
			"no module, Node.js", "node", node("require('expres')\n"), nil,
			[]string{"app.js:1", "Cannot find module 'expres'"},
			"needs 'expres'", "npm install",
		},
		{
			"no gem of the bundle", "ruby",
			map[string]string{"config.ru": "run 1\n", "Gemfile": "gem 'no-such-gem'\n"},
			nil,
			[]string{"no-such-gem"},
			"gems of the application's bundle are not installed", "bundle install",
		},
		{
			"syntax error, Python", "python", python("def application(:\n"), nil,
			[]string{"passenger_wsgi.py\", line 1", "SyntaxError"},
			"syntax error", "Correct it",
		},
		{
			"syntax error, Ruby", "ruby", ruby("run lambda { |env| [200, {}, [] }\n"), nil,
			[]string{"config.ru:1"},
			"syntax error", "Correct it",
		},
		{
			"syntax error, Node.js", "node", node("const = 1\n"), nil,
			[]string{"app.js:1", "SyntaxError"},
			"syntax error",
			"Correct it",
		},
		{
			"exception, Python", "python", python("def boot():\n    raise ValueError('out of cheese')\nboot()\n"), nil,
			[]string{"passenger_wsgi.py\", line 2", "in boot", "ValueError: out of cheese"},
			"out of cheese",
			"traceback",
		},
		{
			"exception, Ruby", "ruby", ruby("def boot\n  raise 'out of cheese'\nend\nboot\n"), nil,
			[]string{"config.ru:2:in `boot'", "out of cheese"},
			"out of cheese", "traceback",
		},
		{
			"exception, Ruby without a preloader", "ruby", ruby("raise 'out of cheese'\n"),
			[]string{"--spawn-method", "direct"},
			[]string{"config.ru:1", "out of cheese"},
			"out of cheese",
			"traceback",
		},
		{
			"exception, Node.js", "node", node("function boot() {\n  throw new Error('out of cheese');\n}\nboot();\n"),
			nil,
			[]string{"at boot", "app.js:2", "out of cheese"},
			"out of cheese", "traceback",
		},
		{
			"no variable, Python", "python", python("import os\nos.environ['SHOP_KEY']\n"), nil,
			[]string{"passenger_wsgi.py\", line 2", "KeyError: 'SHOP_KEY'"},
			"the environment variable SHOP_KEY",
			"env_files",
		},
		{
			"no variable, Ruby", "ruby", ruby("ENV.fetch('SHOP_KEY')\n"), nil,
			[]string{"config.ru:1", `key not found: "SHOP_KEY"`},
			"the environment variable SHOP_KEY", "env_files",
		},
		{
			"no variable, Node.js", "node",
			node("if (!process.env.SHOP_KEY) throw new Error('Missing required environment variable: SHOP_KEY')\n"),
			nil,
			[]string{"app.js:1", "SHOP_KEY"},
			"lacks an environment variable", "env_files",
		},
		{
			"port in use", "python", python("import socket\nsocket.create_server(('127.0.0.1', " + taken + "))\n"), nil,
			[]string{"passenger_wsgi.py\", line 2", "Address already in use"},
			"address that is in use", "End the program that listens there",
		},
		{
			"no application object", "python", python("app = 1\n"), nil,
			[]string{"callable named 'application'"},
			"callable named 'application'", "traceback",
		},
		{
			"ends before it listens, Node.js", "node", node("console.log('done')\n"), nil,
			[]string{"before an HTTP server of it listened"},
			"before an HTTP server of it listened", "",
		},
		{
			"exits, start command", "sh", command("echo 'cannot open the database' >&2\nexit 3\n"), shell,
			[]string{"cannot open the database"},
			"exit status 3", "Its output most probably says why",
		},
		{
			"exits with 0", "sh", command("echo 'nothing to do'\n"), shell,
			[]string{"nothing to do"},
			"ended by itself without serving requests", "stay in the foreground",
		},
		{
			"is killed", "sh", command("echo 'too big' >&2\nkill -KILL $$\n"), shell,
			[]string{"too big"},
			"killed from outside", "memory",
		},
		{
			"never listens", "sh", command("echo 'waiting for the database' >&2\nexec sleep 600\n"), never,
			[]string{"waiting for the database"},
			"neither served on port", "$PORT",
		},
		{
			"hangs, Python", "python", python("import sys, time\nprint('waiting for the database', file=sys.stderr, " +
				"flush=True)\ntime.sleep(600)\n"), soon,
			[]string{"waiting for the database"},
			"was not ready within 3s",
			"start time-out",
		},
		{
			"hangs, Ruby", "ruby", ruby("warn 'waiting for the database'\nsleep 600\n"), soon,
			[]string{"waiting for the database"},
			"was not ready within 3s", "start time-out",
		},
		{
			"hangs, Node.js", "node", node("process.on('SIGTERM', () => process.exit(0)); console.error('waiting " +
				"for the database'); setInterval(() => {}, 1e6)\n"),
			soon,
			[]string{"waiting for the database"},
			"was not ready within 3s", "start time-out",
		},
	}
}

// The cause of a failed start can be found by those who have only the log file, only
// status, only the environment of the hook, or only the report.
func TestCauseOfAFailedStartIsToldEverywhere(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, taken, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	for _, c := range causes(taken) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t)
		})
	}
}

func (c *cause) check(t *testing.T) {
	interpreter := interpreters.Find(t, c.language, map[string]string{"python": "/usr/bin/python3"}[c.language],
		c.language)

	dir, reports, told := t.TempDir(), t.TempDir(), t.TempDir()
	for name, text := range c.files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	script, said, logFile := filepath.Join(told, "hook"), filepath.Join(told, "said"), filepath.Join(told, "log")
	text := fmt.Sprintf("#!/bin/sh\nenv | grep -c 'hunter2' >%[1]s.part\nprintf '%%s\\n' \"$PASSENGER_ERROR_ID\" "+
		"\"$PASSENGER_ERROR_MESSAGE\" "+
		"\"$PASSENGER_ERROR_ADVICE\" \"$PASSENGER_APP_ERROR_MESSAGE\" \"$PASSENGER_ERROR_REPORT\" >>%[1]s.part\nmv "+
		"%[1]s.part %[1]s\n", said)
	require.NoError(t, boxed.WriteProgram(script, []byte(text), 0o700))
	args := append([]string{
		"--environment", prodEnv, "--min-instances", "0", "--log-file", logFile, "--error-report-dir", reports,
		"--ctl", "hook_spawn_failed=" + script, "--envvar", "SHOP_SECRET=" + secretValue,
	}, c.args...)
	if c.language == "python" {
		args = append(args, "--python", interpreter)
	}

	s := start(t, &launch{dir: dir, args: args})
	page := s.client(t).get(t, "/")
	require.Equal(t, http.StatusInternalServerError, page.StatusCode)
	id := errorID.FindString(page.body[strings.Index(page.body, "Error ID"):])
	require.NotEmpty(t, id)

	hook := awaitFile(t, said)
	require.True(t, strings.HasPrefix(hook, "0\n"), "the secret is in the hook's environment: %s", hook)
	report := filepath.Join(reports, "passenger-error-"+id+".html")
	require.Contains(t, hook, report)
	c.requireTold(t, hook, id, "the hook")

	log, err := os.ReadFile(logFile)
	require.NoError(t, err)
	c.requireTold(t, recordOf(string(log), id), id, "the log")
	require.NotContains(t, string(log), secretValue)
	require.NotContains(t, string(log), "an error's text")

	c.requireTold(t, s.tool(t, "status", "--show=errors"), id, "status")
	var failures []passenger.FailedSpawn
	require.NoError(t, json.Unmarshal([]byte(s.tool(t, "status", "--show=errors", "--json")), &failures))
	require.Len(t, failures, 1)
	require.Equal(t, id, failures[0].ID)
	require.NotContains(t, fmt.Sprint(failures), secretValue)
	require.Contains(t, s.tool(t, "status"), "(passenger status --show=errors)")

	content, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Contains(t, string(content), id)
	require.NotContains(t, string(content), secretValue)
}

func (c *cause) requireTold(t *testing.T, text, id, where string) {
	t.Helper()

	// A record's values may be quoted.
	text = strings.ReplaceAll(text, `\"`, `"`)
	for _, part := range append([]string{id, c.summary, c.advice}, c.tells...) {
		require.Contains(t, text, part, where)
	}
}

// recordOf is the record of a failed start in a log, with the lines that belong to it.
func recordOf(log, id string) string {
	var b strings.Builder

	in := false
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "  ") {
			in = strings.Contains(line, "cannot start a process: ") && strings.Contains(line, "id="+id)
		}

		if in {
			b.WriteString(line)
		}
	}

	return b.String()
}

// awaitFile returns what is in a file as soon as it is there.
func awaitFile(t *testing.T, path string) (content string) {
	t.Helper()
	eventuallyWithin(t, deadline, func() error {
		b, err := os.ReadFile(path)
		content = string(b)
		return err
	})

	return content
}

// tool returns what a command of the binary prints about this server.
func (s *server) tool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env()
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)

	return string(out)
}
