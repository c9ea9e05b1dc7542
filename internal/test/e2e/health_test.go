package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// site is an application whose releases can be written over each other.
type site struct {
	name string
	// find skips the test, or returns arguments of start.
	find func(*testing.T) []string
	// files are there in each release; the rest are those of a release that
	// boots, serves RELEASE at / and is well, or not, at /up/.
	files map[string]string
	file  string
	good  string
	bad   string
	// reasons are what the messages about the bad release say.
	reasons []string
}

const djangoSettings = `
SECRET_KEY = "not secret"
DEBUG = False
ALLOWED_HOSTS = ["shop.example.com"]
ROOT_URLCONF = "urls"
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
`

const djangoStart = `
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
`

const djangoURLs = `
from django.http import HttpResponse
from django.urls import path
urlpatterns = [
    path("", lambda request: HttpResponse("RELEASE")),
    path("up/", lambda request: HttpResponse(request.scheme, status=200 if request.is_secure() else 500)),
]
`

var sites = []site{
	{
		name: "django",
		find: func(t *testing.T) []string {
			t.Helper()
			python := interpreters.Find(t, "python", "/usr/bin/python3")
			if exec.CommandContext(t.Context(), python, "-c", "import django").Run() != nil {
				interpreters.Missing(t, "django", "no Django for "+python)
			}

			return []string{"--python", python, "--health-status", "200"}
		},
		files: map[string]string{"settings.py": djangoSettings, "passenger_wsgi.py": djangoStart},
		file:  "urls.py",
		good:  djangoURLs,
		bad:   djangoURLs + "urlpatterns += [\n",
		// It imports urls.py at the first request.
		reasons: []string{"SyntaxError", "500 Internal Server Error"},
	},
	{
		name: "wsgi",
		find: func(t *testing.T) []string {
			t.Helper()
			return []string{"--python", interpreters.Find(t, "python", "python3")}
		},
		file: "passenger_wsgi.py",
		good: "def application(environ, start_response):\n" +
			"    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'RELEASE']\n",
		bad: "def application(environ, start_response):\n" +
			"    import no_such_module\n",
		reasons: []string{"500 Internal Server Error", "no_such_module"},
	},
	{
		name: "rack",
		find: func(t *testing.T) []string {
			t.Helper()
			return []string{"--ruby", interpreters.Find(t, "ruby", "ruby")}
		},
		file:    "config.ru",
		good:    "run lambda { |env| [200, {}, ['RELEASE']] }\n",
		bad:     "run lambda { |env| [env['HTTPS'] == 'on' ? 503 : 200, {}, ['the migrations are missing']] }\n",
		reasons: []string{"503 Service Unavailable", "the migrations are missing"},
	},
	{
		name: "node",
		find: func(t *testing.T) []string {
			t.Helper()
			return []string{"--nodejs", interpreters.Find(t, "node", "node", "nodejs")}
		},
		file:    "app.js",
		good:    "require('http').createServer((q, r) => r.end('RELEASE')).listen(3000)\n",
		bad:     "require('http').createServer((q, r) => { throw new Error('no view') }).listen(3000)\n",
		reasons: []string{"the process ended (exit status 1)"},
	},
	{
		name: "start command",
		find: func(t *testing.T) []string {
			t.Helper()
			return []string{"--start-command", interpreters.Find(t, "node", "node", "nodejs") + " main.js"}
		},
		file: "main.js",
		good: "require('http').createServer((q, r) => r.end('RELEASE')).listen(process.env.PORT, '127.0.0.1')\n",
		bad: "require('http').createServer((q, r) => { r.statusCode = 404; r.end() })" +
			".listen(process.env.PORT, '127.0.0.1')\n",
		reasons: []string{"404 Not Found"},
	},
}

func (s *site) write(t *testing.T, dir, text, release string) {
	t.Helper()
	files := map[string]string{s.file: strings.ReplaceAll(text, "RELEASE", release)}
	maps.Copy(files, s.files)

	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

var processLine = regexp.MustCompile(`\* PID: (\d+) +Sessions: \d+ +Processed: (\d+)`)

// processed waits until there are two processes, and returns how many requests
// each has had.
func (s *server) processed(t *testing.T) (processes map[int]int) {
	t.Helper()
	eventually(t, func() error {
		text, err := s.admin(t, instancedir.CoreAPI).Call(t.Context(), http.MethodGet, "/pool.txt", nil)
		if err != nil {
			return err
		}

		processes = map[int]int{}
		for _, found := range processLine.FindAllSubmatch(text, -1) {
			pid, _ := strconv.Atoi(string(found[1]))
			processes[pid], _ = strconv.Atoi(string(found[2]))
		}

		if len(processes) != 2 {
			return fmt.Errorf("there are not two processes: %s", text)
		}

		return nil
	})

	return processes
}

func (s *server) restartApp(t *testing.T, dir string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "passenger"), "restart-app", dir, "--rolling-restart",
		"--wait")
	cmd.Env, cmd.Dir = s.Cmd.Env, s.Dir
	out, err := cmd.CombinedOutput()

	return string(out), err
}

// TestRollingRestartPromotesOnlyWhatIsHealthy: a release that boots and does not
// serve replaces nothing, whatever kind of application it is.
func TestRollingRestartPromotesOnlyWhatIsHealthy(t *testing.T) {
	t.Parallel()

	for _, site := range sites {
		t.Run(site.name, func(t *testing.T) {
			t.Parallel()
			args := site.find(t)
			dir := t.TempDir()
			site.write(t, dir, site.good, "one")
			s := start(t, &launch{dir: dir, args: append(args,
				"--environment", "production", "--min-instances", "2", "--envvar", "PYTHONDONTWRITEBYTECODE=1",
				"--health-path", "/up/", "--health-host", "shop.example.com", "--warmup-path", "/")})
			get := func() *reply { return s.client(t).getHost(t, "shop.example.com", "/") }
			require.Equal(t, "one", get().body)
			before := s.processed(t)

			sum := 0
			for _, n := range before {
				sum += n
			}

			// Four of them are made here, besides one request and the start.
			require.LessOrEqual(t, sum, 2, "health checks and warm-ups are no requests")

			site.write(t, dir, site.bad, "two")
			out, err := s.restartApp(t, dir)
			require.Error(t, err, out)

			for _, part := range append(site.reasons, "the health check GET /up/ (Host: shop.example.com)") {
				require.Contains(t, out, part)
			}

			for range 4 {
				a := get()
				require.Equal(t, http.StatusOK, a.StatusCode)
				require.Equal(t, "one", a.body)
			}

			after := s.processed(t)
			for pid := range before {
				require.Contains(t, after, pid, "an old process is gone")
			}

			site.write(t, dir, site.good, "three")
			out, err = s.restartApp(t, dir)
			require.NoError(t, err, out)

			for range 4 {
				require.Equal(t, "three", get().body)
			}
		})
	}
}

// TestHealthCheckAsksForAHostOfTheApplication: one that refuses other hosts, as
// Django does, needs no option if the server knows its hosts.
func TestHealthCheckAsksForAHostOfTheApplication(t *testing.T) {
	t.Parallel()
	node := interpreters.Find(t, "node", "node", "nodejs")

	dir := t.TempDir()
	for name, host := range map[string]string{
		"shop": "shop.example.com", "blog": "localhost",
		"wiki": "wiki.example.com:8080",
	} {
		text := "require('http').createServer((q, r) => { r.statusCode = q.headers.host == '" + host +
			"' ? 200 : 400; r.end('" + name + "') }).listen(3000)\n"
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "app.js"), []byte(text), 0o600))
	}

	writePassengerfile(t, dir, `{"health_path": "/", "health_status": 200, "apps": [
		{"dir": "shop", "hosts": ["shop.example.com", "www.example.com"]},
		{"dir": "wiki", "hosts": ["wiki.example.com"], "health_host": "wiki.example.com:8080"},
		{"dir": "blog"}
	]}`)

	s := start(t, &launch{dir: dir, args: []string{"--nodejs", node, "--min-instances", "1"}})
	for host, body := range map[string]string{
		"shop.example.com": "shop", "wiki.example.com:8080": "wiki",
		"localhost": "blog",
	} {
		a := s.client(t).getHost(t, host, "/")
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Equal(t, body, a.body)
	}
}
