package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// maxRegistryPath is how long the path of a registry may be: package instancedir
// leaves room below it for the sockets of applications.
const maxRegistryPath = 52

var interpreted = map[string]struct{ file, source string }{
	"python": {"passenger_wsgi.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n  " +
		"  return [b'hello']\n"},
	"ruby": {"config.ru", "run ->(_env) { [200, {}, ['hello']] }\n"},
	"node": {"app.js", "require('http').createServer((_, res) => res.end('hello')).listen();\n"},
}

// In the longest registry there may be, applications of all kinds serve; a longer
// one is refused.
func TestLongestRegistry(t *testing.T) {
	t.Parallel()

	for name, app := range interpreted {
		for _, method := range []string{"direct", "smart"} {
			if name == "node" && method == "smart" {
				continue // there is no preloader for it
			}

			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				program := interpreters.Find(t, name, map[string]string{"python": "python3"}[name], name)
				option := map[string]string{"node": "nodejs"}[name]
				if option == "" {
					option = name
				}

				dir := newDir(t, map[string]string{app.file: app.source})
				box := newSandbox(t)
				s := startIn(t, box, &launch{dir: dir, args: []string{
					"--" + option, program, "--spawn-method", method, "--instance-registry-dir",
					registryOf(t, box, maxRegistryPath),
				}})
				a := s.client(t).get(t, "/")
				require.Equal(t, http.StatusOK, a.StatusCode, a.body)
				require.Equal(t, "hello", a.body)
			})
		}
	}

	box := newSandbox(t)
	registry := registryOf(t, box, maxRegistryPath+1)
	out, err := box.command(t.Context(), &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--port", "0", "--instance-registry-dir", registry),
	}).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "too long by 1 bytes")
}

// registryOf makes a registry whose path has n bytes.
func registryOf(t *testing.T, box *sandbox, n int) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(box.Dir)
	require.NoError(t, err)
	registry := filepath.Join(dir, strings.Repeat("r", n-len(dir)-1))
	require.NoError(t, os.Mkdir(registry, 0o755))

	return registry
}
