package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaders/goapp"
)

// releaseVar makes the test binary an application that reads all from its release.
const releaseVar = "E2E_RELEASE"

// fault is what is wrong with a release.
type fault string

const (
	noFault   fault = ""
	bootFault fault = "it does not boot"
	// wellFault: it boots, and fails its health path.
	wellFault fault = "it boots and is not well"
	// lazyFault: what the first real page imports is broken.
	lazyFault fault = "a lazy import is broken"
)

// releaseKind is a kind of application. A release serves at / its number, RELEASE in
// files, and the paths of its assets, PAGE; at /up that it is well.
type releaseKind struct {
	name  string
	args  func(t testing.TB) []string
	files map[string]string
	// faults are the files that a fault changes, and what then leads to it.
	faults map[fault]releaseFault
}

// patience is by how many ways a release is tried that is not well: a program that knows nothing of us is asked again
// until its time to start has passed.
func (k *releaseKind) patience() int {
	if k.name == "command" {
		return 1
	}

	return 2
}

type releaseFault struct {
	file, text string
	tells      []string
}

// write makes a release's code.
func (k *releaseKind) write(t testing.TB, dir, page string, n int, f fault) {
	t.Helper()
	texts := maps.Clone(k.files)
	if f != noFault {
		texts[k.faults[f].file] = k.faults[f].text
	}

	for name, text := range texts {
		text = strings.NewReplacer("RELEASE", fmt.Sprint(n), "PAGE", page).Replace(text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	if k.name == "go" {
		self, err := os.Executable()
		require.NoError(t, err)
		require.NoError(t, os.Symlink(self, filepath.Join(dir, "server")))
	}
}

func interpreterArgs(option, language string, executables ...string) func(testing.TB) []string {
	return func(t testing.TB) []string {
		t.Helper()
		return []string{option, interpreters.Find(t, language, executables...)}
	}
}

const rackRelease = `root = Dir.pwd
run lambda { |env|
  next [200, {}, ['well']] if env['PATH_INFO'] == '/up'
  require File.join(root, 'pages')
  [200, { 'content-type' => 'text/plain' }, [page]]
}
`

const wsgiRelease = `import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

def application(environ, start_response):
    body = 'well'
    if environ['PATH_INFO'] != '/up':
        import pages
        body = pages.page
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body.encode()]
`

const nodeRelease = `require('http').createServer((req, res) => {
	let body = 'well'
	try {
		if (req.url != '/up') body = require('./pages').page
	} catch (e) {
		res.statusCode = 500
		body = String(e)
	}
	res.end(body)
}).listen(3000)
`

// commandRelease knows nothing but PORT.
const commandRelease = `import http.server, os, traceback

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        status, body = 200, 'well'
        try:
            if self.path != '/up':
                import pages
                body = pages.page
        except Exception:
            status, body = 500, traceback.format_exc()
        body = body.encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
`

var releaseKinds = []releaseKind{
	{
		name:  "rack",
		args:  interpreterArgs("--ruby", "ruby", "ruby"),
		files: map[string]string{"config.ru": rackRelease, "pages.rb": "def page = \"PAGE\"\n"},
		faults: map[fault]releaseFault{
			bootFault: {"config.ru", "require 'senatra'\n", []string{"config.ru:1", "senatra"}},
			wellFault: {
				"config.ru", "run lambda { |_| [503, {}, ['the migrations are missing']] }\n",
				[]string{"GET /up", "503", "the migrations are missing"},
			},
			lazyFault: {"pages.rb", "require 'senatra'\n", []string{"GET /", "500"}},
		},
	},
	{
		name:  "wsgi",
		args:  interpreterArgs("--python", "python", "python3"),
		files: map[string]string{"passenger_wsgi.py": wsgiRelease, "pages.py": "page = 'PAGE'\n"},
		faults: map[fault]releaseFault{
			bootFault: {"passenger_wsgi.py", "import flusk\n", []string{"passenger_wsgi.py\", line 1", "flusk"}},
			wellFault: {
				"passenger_wsgi.py", strings.Replace(wsgiRelease, "'well'", "1", 1),
				[]string{"GET /up", "500"},
			},
			lazyFault: {"pages.py", "import flusk\n", []string{"GET /", "500"}},
		},
	},
	{
		name:  "node",
		args:  interpreterArgs("--nodejs", "node", "node", "nodejs"),
		files: map[string]string{"app.js": nodeRelease, "pages.js": "exports.page = 'PAGE'\n"},
		faults: map[fault]releaseFault{
			bootFault: {"app.js", "require('expres')\n", []string{"app.js:1", "Cannot find module 'expres'"}},
			wellFault: {
				"app.js", "require('http').createServer((_, res) => { res.statusCode = 503; res.end('no database') " +
					"}).listen(3000)\n",
				[]string{"GET /up", "503", "no database"},
			},
			lazyFault: {"pages.js", "require('expres')\n", []string{"GET /", "500"}},
		},
	},
	{
		name: "go",
		args: func(testing.TB) []string {
			return []string{
				"--start-command", "./server", "--envvar", releaseVar + "=1", "--envvar",
				"GORACE=atexit_sleep_ms=0",
			}
		},
		files: map[string]string{"boot": "", "up": "well", "page": "PAGE"},
		faults: map[fault]releaseFault{
			bootFault: {"boot", "cannot open the database", []string{"cannot open the database", "exit status 3"}},
			wellFault: {"up", "", []string{"GET /up", "503"}},
			lazyFault: {"page", "", []string{"GET /", "500"}},
		},
	},
	{
		name: "command",
		args: func(t testing.TB) []string {
			t.Helper()
			return []string{"--start-command", interpreters.Find(t, "python", "/usr/bin/python3", "python3") +
				" server.py", "--start-timeout", "8"}
		},
		files: map[string]string{"server.py": commandRelease, "pages.py": "page = 'PAGE'\n"},
		faults: map[fault]releaseFault{
			bootFault: {"server.py", "import flusk\n", []string{"server.py\", line 1", "flusk"}},
			wellFault: {
				"server.py", strings.Replace(commandRelease, "200, 'well'", "503, 'no database'", 1),
				[]string{"GET /up", "503"},
			},
			lazyFault: {"pages.py", "import flusk\n", []string{"GET /", "500"}},
		},
	},
}

// playRelease serves what the files of a release say.
func playRelease() (status int) {
	if text, err := os.ReadFile("boot"); err != nil || len(text) > 0 {
		fmt.Fprintln(os.Stderr, string(text))
		return 3
	}

	err := goapp.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, missing := "page", http.StatusInternalServerError
		if r.URL.Path == "/up" {
			name, missing = "up", http.StatusServiceUnavailable
		}

		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 {
			w.WriteHeader(missing)
		}

		_, _ = w.Write(text) // the client may have gone
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return 0
}
