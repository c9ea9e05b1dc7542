package loaders_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

func wsgiSpec(t *testing.T, interpreter, startupFile string, options ...func(*spec)) *spec {
	t.Helper()

	s := &spec{
		argv: []string{interpreter, absolute(t, loaders.Python)},
		request: loaderproto.Request{
			AppType:      "wsgi",
			AppRoot:      filepath.Dir(startupFile),
			StartupFile:  startupFile,
			ProcessTitle: "Passenger: App",
		},
	}
	for _, o := range options {
		o(s)
	}

	return s
}

func startWSGI(t *testing.T, options ...func(*spec)) *process {
	t.Helper()
	return start(t, wsgiSpec(t, python(t), absolute(t, "testdata/wsgi/passenger_wsgi.py"), options...))
}

// A title takes the place of the arguments, and no more: the spawner finds what has
// left its process group by the environment behind them.
func TestWSGIProcessTitle(t *testing.T) {
	t.Parallel()

	for name, want := range map[string]string{
		"shop (test)":            "Passenger: App: shop (test)",
		strings.Repeat("x", 500): "Passenger: App: xxxxx",
	} {
		p := startWSGI(t, func(s *spec) {
			s.request.AppGroupName = name
			s.env = append(s.env, "LAST_OF_ALL=here")
		})
		title := commandLine(t, p.cmd.Process.Pid)
		require.Equal(t, want, title[:min(len(title), len(want))])
		require.Less(t, len(title), 300)
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
		require.NoError(t, err)
		require.Contains(t, string(environ), "LAST_OF_ALL=here\x00")
		require.NotContains(t, string(environ), "xxxxx")

		for variable := range strings.SplitSeq(strings.TrimSuffix(string(environ), "\x00"), "\x00") {
			require.Contains(t, variable, "=")
		}
	}
}

func TestWSGIHandshake(t *testing.T) {
	t.Parallel()
	p := startWSGI(t)
	require.Equal(t, loaderproto.Session, p.address(t).Protocol)
	require.Equal(t, 1, p.address(t).Concurrency)
	require.Empty(t, p.ready.Features)
	p.requireProtected(t)
	p.out.await(t, "the application prints while it loads")
	p.out.await(t, "and leaves a line unfinished")
	p.get(t, "/print_something")

	// On two ways, so that the lines may be in each other.
	p.out.await(t, "printed in a request")
	p.out.await(t, "complained in a request")
	p.requireCleanStop(t)
}

// pythons returns every Python on this machine that is not too old.
func pythons(t *testing.T) []string {
	t.Helper()
	home, err := os.UserHomeDir()
	require.NoError(t, err)

	found := map[string]bool{python(t): true}
	for _, minor := range []string{"8", "9", "10", "11", "12", "13", "14"} {
		installed, err := filepath.Glob(filepath.Join(home, ".pyenv/versions/3."+minor+".*/bin/python"))
		require.NoError(t, err)

		for _, path := range append(installed, "/usr/bin/python3."+minor) {
			if _, err := os.Stat(path); err == nil {
				found[path] = true
			}
		}
	}

	return slices.Sorted(maps.Keys(found))
}

func TestWSGIVersions(t *testing.T) {
	t.Parallel()

	for _, path := range pythons(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := start(t, wsgiSpec(t, path, absolute(t, "testdata/wsgi/passenger_wsgi.py"), keepAlive))
			s := p.session(t)
			require.Equal(t, "body", s.post(t, "/echo", "body").body)
			require.Equal(t, "onetwo", s.get(t, "/generator").body)
			require.Len(t, s.get(t, "/file").body, 1000000)
			require.Equal(t, http.StatusInternalServerError, s.get(t, "/fail").StatusCode)
			p.requireCleanStop(t)
		})
	}
}

func TestWSGIFailures(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ source, want string }{
		"exception": {
			"import sys\nprint('partial', end='')\nraise RuntimeError('no: database')",
			"RuntimeError: no: database",
		},
		"syntax":         {"def (", "SyntaxError"},
		"surrogate":      {"raise RuntimeError('no: \\ud83d')", "RuntimeError: no: \\ud83d"},
		"exit":           {"import sys; sys.exit(3)", "SystemExit: 3"},
		"no application": {"app = 1", "does not define a callable named 'application' or 'app'"},
		"application with another name": {
			"def site(environ, start_response): pass",
			"give it behind a colon: --startup-file module:name. These can be called: site",
		},
		"factory that makes none": {"def create_app(): pass", "create_app() returned None, which is no application"},
		"child holds stdout": {
			"import subprocess, threading, time\n" +
				"subprocess.Popen(['sleep', '5'])\nthreading.Thread(target=lambda: time.sleep(5)).start()\nboom",
			"NameError",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "passenger_wsgi.py")
			require.NoError(t, os.WriteFile(file, []byte(c.source), 0o600))
			p, err := startFailure(t, wsgiSpec(t, python(t), file))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)
			require.Contains(t, err.Message.Text, "Traceback")
			require.False(t, err.Message.HTML)
			require.Equal(t, 1, p.exitCode(t))
		})
	}
}

func TestWSGIStartupFileNames(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "a: b;c d\xe9 ")
	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "handshake.py"),
		[]byte("name = 'the app has a module of this name'"), 0o600))
	file := filepath.Join(root, "my-app \xe9.wsgi")
	require.NoError(t, os.WriteFile(file, []byte(`
import handshake, os, sys
def application(env, start_response):
    start_response("200 OK", [])
    return [("%s|%s|%s|%s" % (__name__, handshake.name, os.getcwd(), sys.path[0])).encode("utf-8", "surrogateescape")]
`), 0o600))
	p := start(t, wsgiSpec(t, python(t), file))
	require.Equal(t, "passenger_wsgi|the app has a module of this name|"+root+"|"+root, p.get(t, "/").body)
}

// Applications choose another interpreter by executing it with sys.argv.
func TestWSGIExec(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passenger_wsgi.py")
	require.NoError(t, os.WriteFile(file, []byte(`
import os, sys
if not os.environ.get("CHOSEN"):
    os.environ["CHOSEN"] = "yes"
    os.execl(sys.executable, sys.executable, *sys.argv)
def application(env, start_response):
    start_response("200 OK", [])
    return [os.environ["CHOSEN"].encode()]
`), 0o600))
	p := start(t, wsgiSpec(t, python(t), file))
	require.Equal(t, "yes", p.get(t, "/").body)
}

func TestWSGISockets(t *testing.T) {
	t.Parallel()
	p := startWSGI(t, tcpOnly)
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, p.address(t).Address.String())
	require.Equal(t, "ignored", p.get(t, "/ignore_body").body)

	_, err := startFailure(t, wsgiSpec(t, python(t), absolute(t, "testdata/wsgi/passenger_wsgi.py"), func(s *spec) {
		s.request.SocketDir = "/tmp/" + strings.Repeat("x", 100)
	}))
	require.Contains(t, err.Message.Text, "shorter than 108 bytes")
}

func TestWSGIEnvironment(t *testing.T) {
	t.Parallel()
	p := startWSGI(t)
	s := p.session(t)
	s.write(t, header(t, "GET", "/show_env/%C3%A9%2Fx?a=%20b", vars{
		"HTTPS": "on", "SCRIPT_NAME": "/base%20uri", "HTTP_X_LATIN": "\xe9", "CONTENT_TYPE": "text/x",
	}))
	var env map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.read(t, "GET").body), &env))
	require.Equal(t, "/show_env/Ã©/x", env["PATH_INFO"])
	require.Equal(t, "/base uri", env["SCRIPT_NAME"])
	require.Equal(t, "/show_env/%C3%A9%2Fx?a=%20b", env["REQUEST_URI"])
	require.Equal(t, "a=%20b", env["QUERY_STRING"])
	require.Equal(t, "é", env["HTTP_X_LATIN"])
	require.Equal(t, "text/x", env["CONTENT_TYPE"])
	require.Equal(t, "https", env["wsgi.url_scheme"])
	require.Equal(t, []any{1.0, 0.0}, env["wsgi.version"])
	require.Equal(t, false, env["wsgi.multithread"])
	require.Equal(t, true, env["wsgi.multiprocess"])
	require.Equal(t, false, env["wsgi.run_once"])
	require.NotContains(t, env, "PASSENGER_CONNECT_PASSWORD")

	s = p.session(t)
	s.write(t, header(t, "GET", "/latin1/%FF", vars{"HTTP_X_ECHO": "caf\xe9"}))
	r := s.read(t, "GET")
	require.Equal(t, "caf\xe9", r.Header.Get("X-Echo"))
	require.Equal(t, "/latin1/\xff", r.body)
}

func TestWSGIInput(t *testing.T) {
	t.Parallel()
	p := startWSGI(t, keepAlive)
	s := p.session(t)
	var parts []string
	require.NoError(t, json.Unmarshal([]byte(s.post(t, "/echo_lines", "one\ntwo\nthree\nfour\nfive").body), &parts))
	require.Equal(t, []string{"one\n", "tw", "o\n", "three\n", "four\n", "five", "", ""}, parts)
	large := strings.Repeat("0123456789", 300000)
	require.Equal(t, large, s.post(t, "/echo", large).body)
	require.Empty(t, s.get(t, "/echo").body)
}

// The codes of the responses to routes, on one connection where that holds.
func TestWSGIResponses(t *testing.T) {
	t.Parallel()

	p := startWSGI(t, keepAlive)
	for _, c := range []struct {
		uri    string
		status int
		body   string
		length string
		closes bool
	}{
		{uri: "/generator", status: 200, body: "onetwo"},
		{uri: "/late_start", status: 200, body: "late"},
		{uri: "/write_callable", status: 200, body: "written twice and returned"},
		{uri: "/ignore_body", status: 200, body: "ignored", length: "7"},
		{uri: "/parts", status: 200, body: "é\xff\xe9\x00", length: "5"},
		{uri: "/replace_response", status: 418, body: "replaced", length: "8"},
		{uri: "/too_much", status: 200, body: "abc", length: "3"},
		{uri: "/empty", status: 200, length: "0"},
		{uri: "/without_body?204", status: 204},
		{uri: "/without_body?304", status: 304},
		{uri: "/file", status: 200, body: strings.Repeat("x", 1000000), length: "1000000"},
		{uri: "/file?0", status: 200, body: strings.Repeat("x", 1000000), length: "1000000"},
		{uri: "/fail", status: 500, closes: true},
		{uri: "/fail_before_first_chunk", status: 500, closes: true},
		{uri: "/start_twice", status: 500, closes: true},
		{uri: "/no_start", status: 500, closes: true},
		{uri: "/text_body", status: 500, closes: true},
		{uri: "/without_body?100", status: 500, closes: true},
		{uri: "/without_body?103", status: 500, closes: true},
		{uri: "/bad_header?cr", status: 500, closes: true},
		{uri: "/bad_header?lf", status: 500, closes: true},
		{uri: "/bad_header?nul", status: 500, closes: true},
		{uri: "/reason?in", status: 200, length: "0"},
		{uri: "/reason?beyond", status: 500, closes: true},
		{uri: "/text_file", status: 200},
	} {
		s := p.session(t)
		r := s.get(t, c.uri)
		require.Equal(t, c.status, r.StatusCode, c.uri)
		if c.status != http.StatusInternalServerError {
			require.Equal(t, c.body, r.body, c.uri)
		}

		if c.length != "" {
			require.Equal(t, c.length, r.Header.Get("Content-Length"), c.uri)
		}

		if c.closes {
			require.True(t, r.Close, c.uri)
			require.Contains(t, r.Header.Get("Content-Type"), "text/plain")
			require.NotContains(t, r.body, "Traceback")
			s.requireClosed(t)

			continue
		}

		require.False(t, r.Close, c.uri)
		require.Equal(t, "ignored", s.get(t, "/ignore_body").body, c.uri)
	}

	p.out.await(t, "RuntimeError: the application fails")
	require.JSONEq(t, `["generator", "without", "without", "before"]`, p.get(t, "/which_closed").body)
}

func TestWSGIHead(t *testing.T) {
	t.Parallel()
	p := startWSGI(t, keepAlive)

	s := p.session(t)
	for _, uri := range []string{"/generator", "/ignore_body", "/file", "/too_little"} {
		s.write(t, header(t, "HEAD", uri, nil))
		r := s.read(t, "HEAD")
		require.Equal(t, 200, r.StatusCode)
		require.Empty(t, r.body)
	}

	require.JSONEq(t, `["generator"]`, s.get(t, "/which_closed").body)
}

// A response that breaks off must not look complete.
func TestWSGIBrokenOff(t *testing.T) {
	t.Parallel()

	p := startWSGI(t, keepAlive)
	for _, uri := range []string{"/fail_after_first_chunk", "/too_little", "/exc_info_after_head"} {
		s := p.session(t)
		s.write(t, header(t, "GET", uri, nil))
		raw := s.raw(t)
		require.Contains(t, raw, "200 OK", uri)
		require.False(t, strings.HasSuffix(raw, "0\r\n\r\n"), uri)
	}

	require.JSONEq(t, `["after"]`, p.get(t, "/which_closed").body)
}

// Without the feature each connection is for one request.
func TestWSGIOneRequest(t *testing.T) {
	t.Parallel()

	p := startWSGI(t)
	for _, uri := range []string{"/generator", "/ignore_body", "/without_body?204"} {
		s := p.session(t)
		r := s.get(t, uri)
		require.True(t, r.Close, uri)
		require.Empty(t, r.TransferEncoding, uri)
		s.requireClosed(t)
	}
}

func TestWSGIKeepAlive(t *testing.T) { requireKeepAlive(t, startWSGI(t, keepAlive)) }

func TestWSGIFailsAfterItsResponse(t *testing.T) { requireLateFailures(t, startWSGI(t, keepAlive)) }

func TestWSGIRequestsAreSeparate(t *testing.T) { requireSeparateRequests(t, startWSGI(t, keepAlive)) }

func TestWSGIKeepsFewHeaderNames(t *testing.T) { requireBoundedNames(t, startWSGI(t, keepAlive)) }
func TestWSGIControl(t *testing.T)             { requireControl(t, startWSGI(t, keepAlive)) }

// Faults: R-19.
func TestWSGIRefusesWrongPasswords(t *testing.T) { requirePassword(t, startWSGI(t, keepAlive)) }

func TestWSGIClientGone(t *testing.T)   { requireClientGone(t, startWSGI(t, keepAlive), "endless") }
func TestWSGIGracefulStop(t *testing.T) { requireGracefulStop(t, startWSGI(t)) }

func TestWSGIEndsBySIGTERM(t *testing.T)       { requireEndBySIGTERM(t, startWSGI(t)) }
func TestWSGIThreadsEndBySIGTERM(t *testing.T) { requireEndBySIGTERM(t, startWSGI(t, fourThreads)) }

// The Python of a virtual environment finds the modules of the environment.
func TestWSGIVirtualEnvironment(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python(t), "-m", "venv", "--without-pip",
		filepath.Join(root, "venv")).CombinedOutput()
	require.NoError(t, err, string(out))
	packages, err := filepath.Glob(filepath.Join(root, "venv/lib/python3.*/site-packages"))
	require.NoError(t, err)
	require.Len(t, packages, 1)
	require.NoError(t, os.WriteFile(filepath.Join(packages[0], "only_here.py"),
		[]byte("word = b'from the environment'"), 0o600))
	file := filepath.Join(root, "passenger_wsgi.py")
	require.NoError(t, os.WriteFile(file, []byte(`
import only_here
def application(env, start_response):
    start_response("200 OK", [])
    return [only_here.word]
`), 0o600))
	interpreter := filepath.Join(root, "venv/bin/python")
	require.Equal(t, "from the environment", start(t, wsgiSpec(t, interpreter, file)).get(t, "/").body)
	w := startPreloader(t, wsgiPreloaderSpec(t, interpreter, file)).spawn(t, wsgiWorkerSpec())
	require.Equal(t, "from the environment", w.get(t, "/").body)
}

// pythonApplications are modules, what of them is called, and what it responds.
var pythonApplications = map[string]struct{ file, source, module, callable, want string }{
	"application before app": {"a.py", "app = 1\n" + respond("application"), "", "", "application"},
	"app":                    {"a.py", respond("app"), "", "", "app"},
	"factory":                {"a.py", "def create_app():\n    return made\n" + respond("made"), "", "", "made"},
	"named":                  {"a.py", respond("application") + respond("site"), "a", "site", "site"},
	"named in a module":      {"shop/wsgi.py", respond("app"), "shop.wsgi", "app", "app"},
	"in src":                 {"src/shop.py", respond("app"), "shop", "app", "app"},
	"named factory": {
		"shop/__init__.py", "def make(name='x'):\n    return made\n" + respond("made"), "shop", "make()", "made",
	},
	"attribute": {
		"shop.py", "class Site: pass\nsite = Site()\n" + respond("app") + "site.app = app\n", "shop", "site.app", "app",
	},
}

// respond is the source of an application that responds with its name.
func respond(name string) string {
	return fmt.Sprintf(`def %[1]s(environ, start_response):
    start_response('200 OK', [])
    return [b'%[1]s']
`, name)
}

func TestWSGIApplicationsAreCalledByTheirNames(t *testing.T) {
	t.Parallel()

	for name, c := range pythonApplications {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			file := filepath.Join(root, c.file)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte(c.source), 0o600))
			p := start(t, wsgiSpec(t, python(t), file, func(s *spec) {
				s.request.AppRoot, s.request.StartupModule, s.request.StartupCallable = root, c.module, c.callable
			}))
			require.Equal(t, c.want, p.session(t).get(t, "/").body)
			p.requireCleanStop(t)
		})
	}
}
