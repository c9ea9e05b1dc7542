package e2e_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// refusal is a start that cannot succeed.
type refusal struct {
	name string
	// files are written to the application's directory first.
	files map[string]string
	// args come after the directory; {dir} in them and in says is that.
	args []string
	// dir replaces the directory.
	dir string
	// app reports whether apart from that, there is something to start.
	app bool
	// says are parts of the line that says what is wrong and what to do.
	says []string
}

var refusals = []refusal{
	{name: "no application", says: []string{"{dir}", "config.ru", "passenger_wsgi.py", "app.js", "start command"}},
	{name: "no directory", dir: "{dir}/none", says: []string{
		"{dir}/none", "does not exist",
		"name the application's directory",
	}},
	{
		name: "a file", files: map[string]string{"file": ""}, dir: "{dir}/file",
		says: []string{"{dir}/file", "not a directory"},
	},
	{
		name: "a startup file", files: map[string]string{"app.py": "", "Passengerfile.json": "{}"}, dir: "{dir}/app.py",
		says: []string{"{dir}/app.py is not a directory", "passenger start {dir} --startup-file 'app.py'"},
	},
	{
		name: "a module and its application, as for gunicorn", dir: "{dir}/shop.wsgi:app", says: []string{
			"{dir}/shop.wsgi:app does not exist", "passenger start {dir} --startup-file 'shop.wsgi:app'",
		},
	},
	{
		name:  "a Procfile that starts this server",
		files: map[string]string{"Procfile": "web: passenger start -p $PORT\n"},
		says: []string{
			"no application was found in {dir}: the line web of Procfile starts this server again",
			"says nothing of the application",
		},
	},
	{name: "two directories", args: []string{"{dir}"}, says: []string{"2 arguments", "one directory"}},
	{
		name: "command missing", args: []string{"--start-command", "no-such-program --x"},
		says: []string{"no-such-program", "not found", "absolute path"},
	},
	{
		name: "command missing in the directory", args: []string{"--start-command", "./none"},
		says: []string{"{dir}/none", "not found"},
	},
	{
		name: "command not executable", files: map[string]string{"run": "#!/bin/sh\n"},
		args: []string{"--start-command", "./run"}, says: []string{"run", "cannot be executed", "chmod +x"},
	},
	{
		name: "command is a directory", args: []string{"--start-command", "{dir}"},
		says: []string{"{dir}", "cannot be executed"},
	},
	{
		name: "command with an open quote", args: []string{"--start-command", "sh -c 'x"},
		says: []string{"--start-command", "is not a shell command"},
	},
	{
		name: "interpreter missing", files: map[string]string{"app.js": ""}, args: []string{"--nodejs", "no-such-node"},
		says: []string{"no-such-node", "not found", "Install"},
	},
	{
		name: "virtual environment without Python", files: map[string]string{
			"passenger_wsgi.py": "",
			"venv/pyvenv.cfg":   "",
		},
		says: []string{
			"the virtual environment {dir}/venv cannot be used", "bin/python",
			"python3 -m venv --clear {dir}/venv",
		},
	},
	{
		name: "startup file missing", args: []string{"--app-type", "wsgi", "--startup-file", "none.py"},
		says: []string{"none.py", "does not exist"},
	},
	{name: "unknown type", args: []string{"--app-type", "cobol"}, says: []string{`"cobol"`, "rack", "wsgi", "node"}},
	{name: "unknown option", args: []string{"--prot", "80"}, says: []string{"--prot", "passenger start --help"}},
	{name: "unknown short option", args: []string{"-Z"}, says: []string{"-Z", "passenger start --help"}},
	{name: "option without value", args: []string{"--port"}, says: []string{"--port", "passenger start --help"}},
	{name: "port is no number", args: []string{"--port", "http"}, says: []string{"--port", "whole number", `"http"`}},
	{name: "port out of range", app: true, args: []string{"--port", "65536"}, says: []string{"65536", "from 0"}},
	{name: "variable without name", args: []string{"--envvar", "=x"}, says: []string{"--envvar", `"=x"`, "NAME=VALUE"}},
	{
		name: "address of another host", app: true, args: []string{"--address", "192.0.2.1"},
		says: []string{"192.0.2.1", "--address"},
	},
	{
		name: "socket and port", app: true, args: []string{"--socket", "{dir}/s", "--port", "0"},
		says: []string{"socket", "port", "the command line", "one or the other"},
	},
	{
		name: "no custom error page", app: true, args: []string{"--custom-error-page", "none.html"},
		says: []string{"custom_error_page", "none.html", "no such file"},
	},
	{
		name: "custom error page is a directory", app: true, args: []string{"--custom-error-page", "{dir}"},
		says: []string{"custom_error_page is {dir}", "name a file"},
	},
	{
		name: "no directory for reports", app: true, args: []string{"--error-report-dir", "{dir}/none"},
		says: []string{"error_report_dir", "{dir}/none", "name a directory that exists"},
	},
	{
		name: "a directory for incidents that others may write to", app: true, args: []string{"--incident-dir", "/tmp"},
		says: []string{"incident_dir is /tmp, to which others can write", "chmod go-w"},
	},
	{
		name: "two startup files", args: []string{"-R", "a.ru", "--startup-file", "b.ru"},
		says: []string{"rackup", "startup_file", "the command line", "one or the other"},
	},
	{
		name: "rackup of another language", args: []string{"-R", "a.ru", "--app-type", "node"},
		says: []string{"rackup", "Ruby", "node"},
	},
	{
		name: "rackup and a command", args: []string{"-R", "a.ru", "--start-command", "x"},
		says: []string{"rackup", "start_command", "one or the other"},
	},
	{
		name: "one option twice", args: []string{"--app-start-command", "x", "--start-command", "x"},
		says: []string{"--app-start-command", "--start-command", "one or the other"},
	},
	{name: "fewer processes than the minimum", app: true, args: []string{
		"--min-instances", "3", "--max-instances",
		"2",
	}, says: []string{"min_instances is 3", "max_instances, which is 2", "raise"}},
	{
		name: "negative limit of processes", app: true, args: []string{"--max-instances", "-1"},
		says: []string{"--max-instances: max_instances is -1", "0 (no limit) or more"},
	},
	{
		name: "unanswered requests below 0", app: true, args: []string{"--max-unanswered-requests", "-1"},
		says: []string{"--max-unanswered-requests: max_unanswered_requests is -1", "0 (never) or more"},
	},
	{
		name: "no share of the queue", app: true, args: []string{"--max-queue-share", "0"},
		says: []string{"max_queue_share is 0", "above 0"},
	},
	{
		name: "share of the queue above all", app: true, args: []string{"--max-queue-share", "1.5"},
		says: []string{"max_queue_share is 1.5", "at most 1"},
	},
	{
		name: "negative connections", app: true, args: []string{"--max-connections", "-1"},
		says: []string{"max_connections is -1", "0 (a share) or more"},
	},
	{
		name: "negative connections of a client", app: true, args: []string{"--max-connections-per-client", "-5"},
		says: []string{"max_connections_per_client is -5", "0 (a share) or more"},
	},
	{
		name: "jitter above all", app: true, args: []string{"--max-requests-jitter", "1.5"},
		says: []string{"max_requests_jitter is 1.5", "from 0 to 1"},
	},
	{
		name: "jitter is no number", app: true, args: []string{"--max-requests-jitter", "some"},
		says: []string{"max_requests_jitter", "a number", `"some"`},
	},
	{
		name: "health path without a slash", app: true, args: []string{"--health-path", "up"},
		says: []string{"--health-path: health_path: ", `the health path "up"`, "slash"},
	},
	{
		name: "no status", app: true, args: []string{"--health-status", "ok"},
		says: []string{"--health-status: ", `"ok"`, "200", "599"},
	},
	{
		name: "impossible status", app: true, args: []string{"--health-status", "200,700"},
		says: []string{`"700"`, "200", "599"},
	},
	{
		name: "no time for the health check", app: true, args: []string{"--health-timeout", "0"},
		says: []string{"health_timeout is 0", "1 or more"},
	},
	{
		name: "health host with a path", app: true, args: []string{"--health-host", "a/b"},
		says: []string{"--health-host: ", `"a/b"`, "host name"},
	},
	{
		name: "warm-up path without a slash", app: true, args: []string{"--warmup-path", "a"},
		says: []string{"--warmup-path: ", `the warm-up path "a"`, "slash"},
	},
	{
		name: "no such user", app: true, args: []string{"--user", "no-such-user"},
		says: []string{"no-such-user", "unknown user"},
	},
	{
		name: "friendly and not", app: true, args: []string{"--friendly-error-pages", "--no-friendly-error-pages"},
		says: []string{"friendly_error_pages", "one or the other"},
	},
	{
		name: "turbocaching on and off", app: true, args: []string{"--disable-turbocaching", "--turbocaching"},
		says: []string{"disable_turbocaching", "the command line", "one or the other"},
	},
	{
		name: "socket in no directory", app: true, args: []string{"--socket", "{dir}/none/s"},
		says: []string{"{dir}/none/s", "check its directory"},
	},
	{
		name: "socket path too long", app: true, args: []string{"--socket", "{dir}/" + strings.Repeat("s", 120)},
		says: []string{"sss", "socket file", "choose a shorter one with --socket"},
	},
	{
		name: "file is not a socket", app: true, files: map[string]string{"s": "precious"},
		args: []string{"--socket", "{dir}/s"}, says: []string{"{dir}/s", "not a socket", "--socket"},
	},
	{
		name: "broken configuration", files: passengerfile("{\n  \"port\": 80,\n  oops\n}"),
		says: []string{"{dir}/Passengerfile.json", "line 3"},
	},
	{name: "configuration cut off", files: passengerfile("{\n  \"port\":"), says: []string{
		"{dir}/Passengerfile.json",
		"line 2",
	}},
	{name: "configuration is empty", files: passengerfile(""), says: []string{"{dir}/Passengerfile.json"}},
	{name: "configuration is a list", files: passengerfile("[1]"), says: []string{
		"{dir}/Passengerfile.json",
		`it must be an object of options, as {"port": 8080}`,
	}},
	{name: "configuration is null", app: true, files: passengerfile("null"), says: []string{
		"{dir}/Passengerfile.json",
		"it must be an object of options",
	}},
	{
		name: "directory whose name is not UTF-8", app: true, dir: "{dir}/caf\xe9",
		files: map[string]string{"caf\xe9/config.ru": ""},
		says:  []string{`caf\xe9" is not UTF-8`, "give the directory another name"},
	},
	{
		name: "directory whose name has a line break", app: true, dir: "{dir}/new\nline",
		files: map[string]string{"new\nline/config.ru": ""},
		says:  []string{`new\nline" has a line break: give the directory another name`},
	},
	{name: "wrong type of a number", files: passengerfile(`{"port": true}`), says: []string{
		"{dir}/Passengerfile.json",
		"port", "whole number",
	}},
	{
		name: "wrong type of a text", files: passengerfile(`{"environment": 5}`),
		says: []string{"{dir}/Passengerfile.json", "environment", "text"},
	},
	{
		name: "wrong type of an object", files: passengerfile(`{"envvars": "A=1"}`),
		says: []string{"{dir}/Passengerfile.json", "envvars", "object"},
	},
	{
		name: "wrong type of a command", files: passengerfile(`{"start_command": {"a": 1}}`),
		says: []string{"{dir}/Passengerfile.json", "start_command"},
	},
	{
		name: "out of range in a file", app: true, files: passengerfile(`{"max_requests": -1}`),
		says: []string{"{dir}/Passengerfile.json: max_requests is -1: it must be 0 (never) or more"},
	},
	{
		name: "one limit above another in a file", app: true, files: passengerfile(`{"max_instances": 2}`),
		args: []string{"--min-instances", "3"}, says: []string{
			"--min-instances: min_instances is 3",
			"max_instances, which is 2",
		},
	},
	{
		name: "socket and port in a file", files: passengerfile(`{"socket_file": "s", "port": 80}`),
		says: []string{"{dir}/Passengerfile.json", "one or the other"},
	},
}

func passengerfile(content string) map[string]string {
	return map[string]string{"Passengerfile.json": content}
}

func TestRefusal(t *testing.T) {
	t.Parallel()

	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t, r.files)
			in := strings.NewReplacer("{dir}", dir)
			l := launch{dir: dir}
			if r.dir != "" {
				l.dir = in.Replace(r.dir)
			}

			for _, arg := range r.args {
				l.args = append(l.args, in.Replace(arg))
			}

			if r.app {
				l.args = append(l.args, testApp(t)...)
			}

			line := refuse(t, &l)
			for _, part := range r.says {
				require.Contains(t, line, in.Replace(part))
			}

			for name, content := range r.files {
				b, err := os.ReadFile(filepath.Join(dir, name))
				require.NoError(t, err)
				require.Equal(t, content, string(b))
			}
		})
	}
}

func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	lines := refuseLines(t, &launch{dir: t.TempDir(), args: []string{"--port", "-1", "--start-timeout", "0"}})
	require.Len(t, lines, 3)

	for i, part := range []string{"--port: port is -1", "--start-timeout: start_timeout is 0", "no application"} {
		require.Contains(t, lines[i], part)
	}
}

// refuse runs a start that has to fail, and returns the line that says why.
func refuse(t *testing.T, l *launch) string {
	t.Helper()
	lines := refuseLines(t, l)
	require.Len(t, lines, 1)

	return lines[0]
}

func refuseLines(t *testing.T, l *launch) []string {
	t.Helper()
	box := newSandbox(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := box.command(ctx, l)
	var stdout, stderr printed.Output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.Error(t, cmd.Run())
	require.NoError(t, ctx.Err())
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", &stderr)
	require.Empty(t, stdout.String())
	box.RequireClean(t)
	text, whole := strings.CutSuffix(stderr.String(), "\n")
	require.True(t, whole)

	lines := strings.Split(text, "\n")
	for _, line := range lines {
		require.True(t, strings.HasPrefix(line, "passenger: "), line)
	}

	return lines
}

// newDir returns a directory with files in it, by their paths.
func newDir(t testing.TB, files map[string]string) string {
	t.Helper()

	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}

	return dir
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	line := refuse(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--address", "127.0.0.1", "--port", port)})
	require.Contains(t, line, "127.0.0.1:"+port+" is in use")
	require.Contains(t, line, "--port")
}

func TestSocketInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	args := append(testApp(t), "--socket", path)
	s := start(t, &launch{dir: dir, args: args})
	line := refuse(t, &launch{dir: dir, args: args})
	require.Contains(t, line, path+" is in use")
	require.Contains(t, line, "--socket")
	require.Contains(t, s.client(t).get(t, "/x").body, "app: GET /x")

	// What a killed server leaves is no hindrance.
	s.signal(t, syscall.SIGKILL)
	<-s.Ended
	s.Judged = true
	s.RequireClean(t)
	require.FileExists(t, path)
	s = start(t, &launch{dir: dir, args: args})
	require.Contains(t, s.client(t).get(t, "/x").body, "app: GET /x")
	s.stop(t)
	require.NoFileExists(t, path)
}

func TestUnknownKeyIsAWarning(t *testing.T) {
	t.Parallel()
	dir := newDir(t, passengerfile(`{"environment": "staging", "colour": "blue"}`))
	s := start(t, &launch{dir: dir, args: testApp(t)})
	require.Contains(t, s.Stdout.String(), "Environment:         staging\n")
	s.Stderr.Await(t, `passenger: warning: unknown option "colour" in `+filepath.Join(dir, "Passengerfile.json")+
		" is ignored\n", 1, s.Ended)
}
