package passengercaddy_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// peer is an application and the server of its language, which Caddy is a proxy before.
type peer struct {
	name string
	// file and code are the application; server serves it on $PORT, and options are what
	// the directive has to say of it.
	file, code string
	server     []string
	options    string
}

// peers have two processes each, but for Node.js, which has one.
var peers = []peer{
	{name: "Go"},
	{
		name:    "Node.js",
		file:    "app.js",
		code:    "require('http').createServer((q, r) => r.end('hello')).listen(process.env.PORT, '127.0.0.1')\n",
		server:  []string{"node", "app.js"},
		options: "max_processes 1",
	},
	{
		name:    "WSGI",
		file:    "passenger_wsgi.py",
		code:    "def application(e, start):\n    start('200 OK', [('Content-Length', '5')])\n    return [b'hello']\n",
		server:  []string{"gunicorn", "--workers", "2", "--bind", "127.0.0.1:$PORT", "passenger_wsgi:application"},
		options: "python /usr/bin/python3\n min_processes 2\n max_processes 2",
	},
	{
		name: "Rack",
		file: "config.ru",
		code: "run lambda { |env| [200, {'content-length' => '5'}, ['hello']] }\n",
		server: []string{
			"puma", "--quiet", "--environment", "production", "--workers", "2", "--threads", "1:1", "--bind",
			"tcp://127.0.0.1:$PORT",
		},
		options: "min_processes 2\n max_processes 2",
	},
}

// BenchmarkFrontCPU measures the CPU time of the Caddy process for a request, with the
// directive and with reverse_proxy to the same application, which take turns. A peer
// that is not installed is skipped.
func BenchmarkFrontCPU(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			directive := app("")
			dir := b.TempDir()
			if p.file != "" {
				require.NoError(b, os.WriteFile(filepath.Join(dir, p.file), []byte(p.code), 0o600))
				directive = fmt.Sprintf("passenger %s {\n %s\n}\n", dir, p.options)
			}

			port := p.serve(b, dir)
			s := start(b, func(s *server) string {
				return s.global(own) + s.site(0, directive) + s.site(1, "reverse_proxy 127.0.0.1:"+port)
			})

			for range 5 {
				for i, name := range []string{"passenger", "reverse_proxy"} {
					b.Run(name, func(b *testing.B) { s.measure(b, i) })
				}
			}
		})
	}
}

// serve starts the server of the peer and returns its port.
func (p *peer) serve(b *testing.B, dir string) (port string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	_, port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(b, err)
	require.NoError(b, l.Close())

	args := p.server
	if args == nil {
		args = []string{programs.app}
	}

	if _, err := exec.LookPath(args[0]); err != nil {
		b.Skip(err)
	}

	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), args[0])
	for _, arg := range args[1:] {
		cmd.Args = append(cmd.Args, strings.ReplaceAll(arg, "$PORT", port))
	}

	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT="+port)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // so that workers end as well
		_ = cmd.Wait()
	})

	return port
}

func (s *server) measure(b *testing.B, port int) {
	c := client(b)
	ask := func() error {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url(port, "/hello"), http.NoBody)
		if err != nil {
			return err
		}

		return fetch(c, r)
	}
	require.Eventually(b, func() bool { return ask() == nil }, patience, patience/1000) // it has started

	before := cpuTicks(b, s.cmd.Process.Pid)
	for b.Loop() {
		if err := ask(); err != nil {
			b.Fatal(err)
		}
	}

	used := cpuTicks(b, s.cmd.Process.Pid) - before
	b.ReportMetric(float64(used)*10_000/float64(b.N), "front-µs/op")
}

// cpuTicks are hundredths of a second, of user and system.
func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	require.NoError(b, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(b, err)

	return user + system
}
