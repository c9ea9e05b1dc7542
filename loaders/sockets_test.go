package loaders_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// maxSocketName is the room that a spawner has to leave for the name of a socket.
const maxSocketName = 16

// Each loader gets by with that room, and uses a directory whose path leaves no
// more.
func TestLongestSocketDirectory(t *testing.T) {
	t.Parallel()

	for name, startApp := range map[string]func(t *testing.T, options ...func(*spec)) *process{
		"python": startWSGI, "ruby": startRack, "node": startNode,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := longDirectory(t, loaderproto.UnixPathMax-1-len("/")-maxSocketName)

			p := startApp(t, func(s *spec) { s.request.SocketDir = dir })
			for _, s := range p.ready.Sockets {
				if s.Address.Network == "unix" {
					require.Equal(t, dir, filepath.Dir(s.Address.Addr))
					require.LessOrEqual(t, len(filepath.Base(s.Address.Addr)), maxSocketName)
				}
			}

			require.NoError(t, p.dial(t).Close())
		})
	}
}

// longDirectory makes one whose path has n bytes.
func longDirectory(t *testing.T, n int) string {
	t.Helper()
	top, err := os.MkdirTemp("/tmp", "ld") //nolint:usetesting // that of t may be too long
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(top)) })
	dir := filepath.Join(top, strings.Repeat("x", n-len(top)-1))
	require.NoError(t, os.Mkdir(dir, 0o700))

	return dir
}

// takenName is what the applications below make the first name of a socket be.
const takenName = "0000000000"

//nolint:dupword // it is a program
const takenWSGI = `
import os
first, urandom = [bytes(5)], os.urandom
os.urandom = lambda n: first.pop() if n == 5 and first else urandom(n)

def application(environ, start_response):
    start_response("200 OK", [])
    return []
`

//nolint:dupword // it is a program
const takenRack = `
require "securerandom"
first = true
SecureRandom.singleton_class.prepend(Module.new do
  define_method(:hex) do |n = nil|
    next super(n) unless n == 5 && first
    first = false
    "0000000000"
  end
end)
run ->(_env) { [200, {}, []] }
`

const takenNode = `
const crypto = require('crypto');
const { randomBytes } = crypto;
let first = true;
crypto.randomBytes = (n, ...rest) => {
  if (n !== 5 || !first) return randomBytes(n, ...rest);
  first = false;
  return Buffer.alloc(5);
};
require('http').createServer((_, res) => res.end()).listen();
`

// A name that is taken is not used, and another one is.
func TestSocketNameIsTaken(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		file, source, taken string
		spec                func(t *testing.T, file string) *spec
	}{
		"python": {"passenger_wsgi.py", takenWSGI, "wsgi." + takenName, func(t *testing.T, file string) *spec {
			t.Helper()
			return wsgiSpec(t, python(t), file)
		}},
		"ruby": {"config.ru", takenRack, "ruby." + takenName, func(t *testing.T, file string) *spec {
			t.Helper()
			return rackSpec(t, file)
		}},
		"node": {"app.js", takenNode, "node." + takenName, func(t *testing.T, file string) *spec {
			t.Helper()
			return nodeSpec(t, file)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			startupFile := filepath.Join(dir, test.file)
			require.NoError(t, os.WriteFile(startupFile, []byte(test.source), 0o600))
			s := test.spec(t, startupFile)
			s.request.SocketDir = longDirectory(t, 60)
			taken := filepath.Join(s.request.SocketDir, test.taken)
			require.NoError(t, os.WriteFile(taken, []byte("taken"), 0o600))
			p := start(t, s)
			require.NotEqual(t, taken, p.ready.Sockets[0].Address.Addr)
			require.NoError(t, p.dial(t).Close())
			content, err := os.ReadFile(taken)
			require.NoError(t, err)
			require.Equal(t, "taken", string(content))
		})
	}
}
