package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const tellingApp = `
import json, os, resource, sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {
        "Files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "Threads": environ["wsgi.multithread"],
        "Parent": os.getppid(),
        "Env": {name: os.environ.get(name, "") for name in ("FROM_FILE", "BOTH", "VIRTUAL_ENV")},
        "Prefix": sys.prefix,
    }
    return [json.dumps(said).encode()]
`

// TestOptionsOfProcesses: what the options say of processes is what they find.
func TestOptionsOfProcesses(t *testing.T) {
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")

	dir := t.TempDir()
	for name, text := range map[string]string{
		"passenger_wsgi.py":  tellingApp,
		"env":                "FROM_FILE='from the file'\nBOTH=file # not a comment\n",
		"Passengerfile.json": `{"env_files": ["env", "-missing"], "app_file_descriptor_ulimit": 512}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	s := start(t, &launch{
		dir: dir, args: []string{
			"--spawn-method", "smart", "--python", python, "--envvar", "BOTH=option",
			"--min-instances", "2",
		},
		env: []string{"PASSENGER_THREAD_COUNT=3"},
	})
	var said struct {
		Files, Parent int
		Threads       bool
		Env           map[string]string
		Prefix        string
	}
	a := s.client(t).get(t, "/")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &said))
	require.Equal(t, 512, said.Files)
	require.True(t, said.Threads)
	require.NotEqual(t, s.Cmd.Process.Pid, said.Parent, "the preloader is the parent")
	require.Equal(t, map[string]string{"FROM_FILE": "from the file", "BOTH": "option", "VIRTUAL_ENV": ""}, said.Env)
}

// TestVirtualEnvironmentIsFound: an application's own Python is preferred.
func TestVirtualEnvironmentIsFound(t *testing.T) {
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	for _, name := range []string{"venv", ".venv"} {
		dir := t.TempDir()
		if !succeeds(t, python, "-m", "venv", "--without-pip", filepath.Join(dir, name)) {
			interpreters.Missing(t, "python", "Python has no module venv")
		}

		require.NoError(t, os.WriteFile(filepath.Join(dir, "passenger_wsgi.py"), []byte(tellingApp), 0o600))
		a := start(t, &launch{dir: dir}).client(t).get(t, "/")
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Contains(t, a.body, `"Prefix": "`+filepath.Join(dir, name)+`"`)
		require.Contains(t, a.body, `"VIRTUAL_ENV": "`+filepath.Join(dir, name)+`"`)
	}
}

// TestStickySessions: a client stays with its process.
func TestStickySessions(t *testing.T) {
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--sticky-sessions", "--min-instances", "3",
		"--sticky-sessions-cookie-name", "route", "--sticky-sessions-cookie-attributes", "SameSite=Strict")})
	c := s.client(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c.Jar = jar
	first := c.get(t, "/pid")
	require.Regexp(t, `^route=\d+; Path=/; SameSite=Strict$`, first.Header.Get("Set-Cookie"))

	for range 10 {
		require.Equal(t, first.body, c.get(t, "/pid").body)
	}
}

// TestFriendlyErrorPages: the option decides, whatever the environment.
func TestFriendlyErrorPages(t *testing.T) {
	interpreters.Find(t, "node", "node")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.js"), []byte("throw new Error('the canary')"), 0o600))

	for option, shown := range map[string]bool{"true": true, "false": false, "auto": false} {
		s := start(t, &launch{
			dir:  dir,
			args: []string{"--friendly-error-pages=" + option, "--environment", "production", "--min-instances", "0"},
		})
		a := s.client(t).get(t, "/")
		require.Equal(t, http.StatusInternalServerError, a.StatusCode)
		require.Equal(t, shown, strings.Contains(a.body, "the canary"), option)
		require.Contains(t, a.body, "Error ID")
	}
}

// Options of Passenger's that mean nothing here are accepted, and said to be.
func TestForeignOptions(t *testing.T) {
	t.Parallel()
	dir := newDir(t, passengerfile(`{"nginx_bin": "/usr/sbin/nginx"}`))

	s := start(t, &launch{
		dir:  dir,
		args: append(testApp(t), "--engine", "builtin", "--no-install-runtime", "--socket-backlog=100"),
	})
	for _, key := range []string{"engine", "nginx_bin", "no_install_runtime", "socket_backlog"} {
		s.Stderr.Await(t, "the option "+key+" in ", 1, s.Ended)
	}

	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
}

// An idle process is stopped, and another one is started for who comes later.
func TestPoolIdleTime(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--min-instances", "0", "--pool-idle-time", "1")})
	c := s.client(t)
	require.Equal(t, "app: GET /", c.get(t, "/").body)
	s.requireApps(t, 0)
	require.Equal(t, "app: GET /", c.get(t, "/").body)
}

// Names of options that Passenger has for what others say as well.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)

	for name, test := range map[string]struct {
		file string
		args []string
		want string
	}{
		"not friendly":           {"", []string{"--no-friendly-error-pages"}, `"friendly_error_pages":"false"`},
		"friendly":               {"", []string{"--friendly-error-pages"}, `"friendly_error_pages":"true"`},
		"friendly in a file":     {`{"friendly_error_pages": true}`, nil, `"friendly_error_pages":"true"`},
		"not friendly in a file": {`{"friendly_error_pages": false}`, nil, `"friendly_error_pages":"false"`},
		"WebSockets": {
			"",
			[]string{"--no-abort-websockets-on-process-shutdown"},
			`"abort_websockets_on_process_shutdown":false`,
		},
		"WebSockets in a file": {
			`{"abort_websockets_on_process_shutdown": false}`, nil,
			`"abort_websockets_on_process_shutdown":false`,
		},
		"hooks": {
			"",
			[]string{"--ctls", "hook_spawn_failed=/bin/true"},
			`"hook_spawn_failed":"/bin/true"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.file != "" {
				dir = newDir(t, passengerfile(test.file))
			}

			s := start(t, &launch{
				dir: dir,
				args: append(test.args, "--app-start-command", self, "--envvar", appVar+"=1", "--envvar",
					"GORACE=atexit_sleep_ms=0"),
			})
			require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
			config, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
			require.NoError(t, err)
			require.Contains(t, string(config), test.want)
		})
	}
}

// A rackup file on the command line counts more than a command in a file.
func TestRackupCountsMoreThanACommand(t *testing.T) {
	t.Parallel()
	ruby := interpreters.Find(t, "ruby", "ruby")
	dir := newDir(t, map[string]string{
		"other.ru":           "run ->(env) { [200, {}, ['the other one']] }",
		"Passengerfile.json": `{"app_start_command": "/bin/false"}`,
	})
	s := start(t, &launch{dir: dir, args: []string{"--ruby", ruby, "--rackup", "other.ru"}})
	require.Equal(t, "the other one", s.client(t).get(t, "/").body)
}

// The short options that Passenger has for what others say as well.
func TestShortOptions(t *testing.T) {
	t.Parallel()
	ruby := interpreters.Find(t, "ruby", "ruby")

	dir := newDir(t, map[string]string{
		"config.ru": "raise 'not this one'", "other.ru": "run ->(env) { [200, {}, ['the other one']] }",
	})
	for name, l := range map[string]*launch{
		"command line": {dir: dir, args: []string{"--ruby", ruby, "-R", "other.ru", "--disable-turbocaching"}},
		"environment": {
			dir:  dir,
			args: []string{"--ruby", ruby},
			env:  []string{"PASSENGER_RACKUP=other.ru", "PASSENGER_DISABLE_TURBOCACHING=true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, l)
			require.Equal(t, "the other one", s.client(t).get(t, "/").body)
			config, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
			require.NoError(t, err)
			require.Contains(t, string(config), `"turbocaching":false`)
			require.Contains(t, string(config), `"app_type":"rack"`)
		})
	}
}

func TestCustomErrorPage(t *testing.T) {
	t.Parallel()
	ruby := interpreters.Find(t, "ruby", "ruby")
	dir := newDir(t, map[string]string{
		"config.ru": "raise 'it is broken'", "error.html": "<h1>Back soon</h1>",
		"Passengerfile.json": `{"custom_error_page": "error.html", "environment": "production"}`,
	})
	s := start(t, &launch{dir: dir, args: []string{"--ruby", ruby}})
	a := s.client(t).get(t, "/")
	require.Equal(t, http.StatusInternalServerError, a.StatusCode)
	require.Equal(t, "<h1>Back soon</h1>", a.body)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
}

// max_instances bounds an application, whatever room the pool has, and each process
// ends earlier than max_requests by a share of its own.
func TestMaxInstancesAndJitter(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{
		dir:  newDir(t, passengerfile(`{"max_instances": 1, "max_requests": 9, "max_requests_jitter": 0.5}`)),
		args: testApp(t),
	})

	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() { s.client(t).get(t, "/") })
	}

	clients.Wait()
	eventually(t, func() error { // the one that is replaced needs a moment to end
		if apps := s.apps(t); len(apps) > 1 {
			return fmt.Errorf("the processes %v are there", apps)
		}

		return nil
	})
	config, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/config.json", nil)
	require.NoError(t, err)
	require.Contains(t, string(config), `"max_requests_jitter":0.5`)
	text, err := s.admin(t, "core_api").Call(t.Context(), http.MethodGet, "/pool.json?form=snapshot", nil)
	require.NoError(t, err)
	require.Contains(t, string(text), `"maxProcesses":1`)
}
