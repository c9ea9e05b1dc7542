package spawner_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
)

// The applications of the table write into a file what they have read from their standard input at the start, and what
// a program has that they started.
const (
	resultFile = "result"
	noInput    = "[] []"
)

const rubyReader = `
a, b = STDIN.gets, IO.popen(["cat"], in: :in) { |io| io.read }
File.write("result", "[#{a}] [#{b}]")
run ->(env) { [200, {}, []] }
`

const pythonReader = `
import subprocess, sys
a, b = sys.stdin.read(), subprocess.run(["cat"], stdout=subprocess.PIPE, universal_newlines=True).stdout
with open("result", "w") as result:
    result.write("[%s] [%s]" % (a, b))
def application(environ, start_response): pass
`

const nodeReader = `
const b = require('child_process').execSync('cat', {stdio: ['inherit', 'pipe', 'inherit']});
let a = '';
process.stdin.on('data', (chunk) => a += chunk).on('end', () => {
  require('fs').writeFileSync('result', '[' + a + '] [' + b + ']');
  require('http').createServer((req, res) => res.end()).listen(process.env.PORT);
});
`

// An application that reads its standard input, and a program that it starts, would wait for ever for what the loaders
// and the server have to say to each other, or take it from them.
func TestStandardInputOfApplicationsIsEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		language []string
		app      spawner.App
		file     string
		source   string
	}{
		"ruby":         {[]string{"ruby"}, spawner.App{Type: "rack", SpawnMethod: "direct"}, "config.ru", rubyReader},
		"ruby, smart":  {[]string{"ruby"}, spawner.App{Type: "rack", SpawnMethod: "smart"}, "config.ru", rubyReader},
		"wsgi":         {[]string{"python3"}, spawner.App{Type: "wsgi", SpawnMethod: "direct"}, "passenger_wsgi.py", pythonReader},
		"wsgi, smart":  {[]string{"python3"}, spawner.App{Type: "wsgi", SpawnMethod: "smart"}, "passenger_wsgi.py", pythonReader},
		"node":         {[]string{"node"}, spawner.App{Type: "node"}, "app.js", nodeReader},
		"node, a mode": {[]string{"node"}, spawner.App{Type: "node", Umask: "022"}, "app.js", nodeReader},
		"a command": {
			[]string{"node"},
			spawner.App{StartCommand: []string{"/bin/sh", "-c", "cat; read x; exec node app.js"}},
			"app.js",
			nodeReader,
		},
	} {
		t.Run(name, func(t *testing.T) {
			interpreters.Find(t, c.language[0], c.language...)
			f := newFixture(t)
			a := c.app
			a.Root = makeDirectory(t, map[string]string{c.file: c.source})
			a.StartTimeout = patience

			s, err := f.NewSpawner(a)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })

			p, err := s.Spawn(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { p.Stop(context.Background()) })

			result, err := os.ReadFile(filepath.Join(a.Root, resultFile))
			require.NoError(t, err)
			require.Equal(t, noInput, string(result))

			// What says that the process is to end is read nevertheless.
			p.Stop(t.Context())
			status := strings.ReplaceAll(p.ExitStatus(), "signal: terminated", "")
			require.Contains(t, []string{"exit status 0", ""}, status)
		})
	}
}

// A companion has none from the start.
func TestStandardInputOfCompanionsIsEmpty(t *testing.T) {
	f := newFixture(t)
	a := app(t, "generic")
	file := filepath.Join(t.TempDir(), "read")

	p := f.companion(t, a, spawner.Companion{Name: "reader", Command: []string{"/bin/sh", "-c", "cat > " + file}})
	<-p.Exited()
	require.Equal(t, "exit status 0", p.ExitStatus())
	require.FileExists(t, file)
}
