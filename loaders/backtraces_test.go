package loaders_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

func offerTraces(s *spec) {
	s.request.Features = []string{loaderproto.FeatureBacktraceSignal, loaderproto.FeatureBacktraceSocket}
}

const handlesURGInRuby = `trap("URG") { STDERR.puts "its own" }
run ->(_) { [200, {}, ["ok"]] }
`

func TestBacktracesAreOfferedByEachLoader(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		spec     func(t *testing.T) *spec
		features []string
		// says is what backtraces have.
		says string
	}{
		"ruby": {
			func(t *testing.T) *spec { return rackSpec(t, absolute(t, "testdata/rack/config.ru"), offerTraces) },
			[]string{loaderproto.FeatureBacktraceSignal},
			"worker.rb",
		},
		"ruby with a handler of its own": {
			func(t *testing.T) *spec {
				file := filepath.Join(t.TempDir(), "config.ru")
				require.NoError(t, os.WriteFile(file, []byte(handlesURGInRuby), 0o600))
				return rackSpec(t, file, offerTraces)
			},
			nil, "",
		},
		"wsgi": {
			func(t *testing.T) *spec {
				return wsgiSpec(t, python(t), absolute(t, "testdata/wsgi/passenger_wsgi.py"), offerTraces)
			},
			[]string{loaderproto.FeatureBacktraceSignal},
			`worker.py", line`,
		},
		"asgi": {
			func(t *testing.T) *spec {
				return asgiSpec(t, "async def app(scope, receive, send): pass", offerTraces)
			},
			[]string{loaderproto.FeatureBacktraceSignal},
			"Task 'Task-1' (most recent call last)",
		},
		"node": {
			func(t *testing.T) *spec { return nodeSpec(t, absolute(t, "testdata/node/app.js"), offerTraces) },
			[]string{loaderproto.FeatureBacktraceSocket},
			"The main thread waits for events.",
		},
		"go": {
			func(t *testing.T) *spec { return goSpec(t, offerTraces) },
			[]string{loaderproto.FeatureBacktraceSocket},
			"goapp.Serve",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := test.spec(t)
			s.request.SocketDir = t.TempDir()
			path := filepath.Join(s.request.SocketDir, "backtraces")
			if len(test.features) > 0 && test.features[0] == loaderproto.FeatureBacktraceSignal {
				require.NoError(t, os.WriteFile(path, nil, 0o600)) // as the spawner does
			}

			p := start(t, s)
			require.ElementsMatch(t, test.features, p.ready.Features)

			switch {
			case len(test.features) == 0:
				require.NoError(t, p.cmd.Process.Signal(syscall.SIGURG))
				p.out.await(t, "its own")
			case test.features[0] == loaderproto.FeatureBacktraceSignal:
				require.NoError(t, p.cmd.Process.Signal(syscall.SIGURG))
				awaitFile(t, path, test.says)
			default:
				require.Contains(t, readSocket(t, path), test.says)
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			}

			p.closeStdin(t)
			require.Zero(t, p.exitCode(t), p.out.String())
		})
	}
}

// awaitFile waits until a file has a text.
func awaitFile(t *testing.T, path, text string) {
	t.Helper()

	var content []byte
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var err error
		content, err = os.ReadFile(path)
		require.NoError(t, err)
		if strings.Contains(string(content), text) {
			return
		}
	}

	require.Fail(t, "not written: "+text, string(content))
}

// readSocket returns what a socket sends, which may be there a little later than the process is ready.
func readSocket(t *testing.T, path string) string {
	t.Helper()

	var conn net.Conn

	err := os.ErrNotExist
	for end := time.Now().Add(deadline); err != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn, err = (&net.Dialer{}).DialContext(t.Context(), "unix", path)
	}

	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	content, err := io.ReadAll(conn)
	require.NoError(t, err)

	return string(content)
}

func TestBacktracesAreOfferedOnlyWhereTheyAreTaken(t *testing.T) {
	t.Parallel()

	for _, p := range []*process{startWSGI(t, keepAlive), startRack(t, keepAlive)} {
		require.Equal(t, []string{loaderproto.FeatureSessionKeepAlive}, p.ready.Features)
	}

	require.Empty(t, startNode(t, keepAlive).ready.Features)
}
