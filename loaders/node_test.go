package loaders_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/loaders"
)

func nodeSpec(t *testing.T, startupFile string, options ...func(*spec)) *spec {
	t.Helper()

	s := &spec{
		argv: []string{
			interpreters.Find(t, "node", os.Getenv("PASSENGER_TEST_NODE"), "node"),
			absolute(t, loaders.Node),
		},
		request: loaderproto.Request{
			AppType:      "node",
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

func startNode(t *testing.T, options ...func(*spec)) *process {
	t.Helper()
	return start(t, nodeSpec(t, absolute(t, "testdata/node/app.js"), options...))
}

// nodeApp writes an application and returns its startup file.
func nodeApp(t *testing.T, name, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))

	return file
}

// httpConn is a connection that speaks HTTP, one request after the other.
type httpConn struct {
	net.Conn
	br *bufio.Reader
}

func (p *process) http(t *testing.T) *httpConn {
	t.Helper()
	conn := p.dial(t)
	return &httpConn{conn, bufio.NewReader(conn)}
}

func (c *httpConn) send(t *testing.T, uri string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com"+uri, http.NoBody)
	require.NoError(t, err)
	require.NoError(t, req.Write(c))
}

func (c *httpConn) read(t *testing.T) reply {
	t.Helper()
	return (&session{c.Conn, c.br}).read(t, http.MethodGet)
}

func (c *httpConn) get(t *testing.T, uri string) reply {
	t.Helper()
	c.send(t, uri)
	return c.read(t)
}

func TestNodeHandshake(t *testing.T) {
	t.Parallel()
	p := startNode(t, keepAlive)
	require.Equal(t, loaderproto.HTTPSession, p.address(t).Protocol)
	require.Zero(t, p.address(t).Concurrency)
	require.Empty(t, p.ready.Features)
	p.requireProtected(t)

	for _, line := range []string{
		"the application prints while it loads", "and leaves a line unfinished",
		"the callback was called", "the event was emitted",
	} {
		p.out.await(t, line)
	}

	c := p.http(t)
	require.Equal(t, "hello", c.get(t, "/").body)
	c.get(t, "/print")
	p.out.await(t, "printed in a request\n")

	var about struct {
		Main, Parent              bool
		Argv, CWD, Title, Address string
	}
	require.NoError(t, json.Unmarshal([]byte(c.get(t, "/main").body), &about))
	require.True(t, about.Main)
	require.False(t, about.Parent)
	require.Equal(t, absolute(t, "testdata/node/app.js"), about.Argv)
	require.Equal(t, absolute(t, "testdata/node"), about.CWD)
	require.Equal(t, "Passenger: App: "+absolute(t, "testdata/node"), about.Title)
	require.Equal(t, p.address(t).Address.Addr, about.Address)
	require.JSONEq(t, "[0,0,0,0]", c.get(t, "/timeouts").body)
	require.NoError(t, c.Close())
	p.requireCleanStop(t)
}

func TestNodeListenForms(t *testing.T) {
	t.Parallel()

	const create = "const http = require('http'); const server = http.createServer((req, res) => res.end('hello'));\n"
	for name, listen := range map[string]string{
		"nothing":         "server.listen()",
		"port":            "server.listen(1)",
		"port as text":    "server.listen('1')",
		"port and host":   "server.listen(1, '0.0.0.0')",
		"backlog":         "server.listen(1, '0.0.0.0', 5, () => {})",
		"options":         "server.listen({port: 1, host: '::1', exclusive: true}, () => {})",
		"path":            "server.listen('/nowhere/at/all')",
		"later":           "setTimeout(() => server.listen(1), 20)",
		"result":          "if (server.listen(1) !== server) throw new Error('listen must return the server')",
		"passenger":       "server.listen('passenger')",
		"slash passenger": "server.listen('/passenger')",
		"path passenger":  "server.listen({path: 'passenger'})",
		"explicit": "PhusionPassenger.configure({autoInstall: false});\n" +
			"http.createServer((req, res) => res.end('wrong')).listen(0, '127.0.0.1', () => server.listen('passenger'))",
		"detected": "if (typeof(PhusionPassenger) !== 'undefined') { server.listen('passenger') } else { throw " +
			"'undetected' }",
		"second":    "server.listen(1); http.createServer().listen(0, '127.0.0.1')",
		"net first": "require('net').createServer().listen(0, '127.0.0.1', () => server.listen(1))",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nodeSpec(t, nodeApp(t, "app.js", create+listen)))
			require.Equal(t, "hello", p.http(t).get(t, "/").body)
			p.requireCleanStop(t)
		})
	}
}

func TestNodeDirectoryWithBlanks(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "a: b;c ")
	require.NoError(t, os.Mkdir(root, 0o700))
	file := filepath.Join(root, "app.js")
	require.NoError(t, os.WriteFile(file, []byte("require('http').createServer((req, res) => "+
		"res.end(process.cwd())).listen(1)"), 0o600))
	p := start(t, nodeSpec(t, file))
	require.Equal(t, root, p.http(t).get(t, "/").body)
}

// Fastify listens on each address of localhost, with the port of its first server. On
// a Unix socket that has none, and no other user may get to the application by a port.
func TestNodeServerOfFurtherAddressListensOnNoPort(t *testing.T) {
	t.Parallel()
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const http = require('http');
		let address;
		const respond = (req, res) => res.end(JSON.stringify(address));
		const server = http.createServer(respond), further = http.createServer(respond);
		server.listen({port: 3000, host: '127.0.0.1'}, () => {
			further.listen({port: server.address().port, host: '::1'}, () => {
				address = further.address();
				console.log('further is listening');
			});
		});`)))
	p.out.await(t, "further is listening")

	var address string
	require.NoError(t, json.Unmarshal([]byte(p.http(t).get(t, "/").body), &address))
	require.Equal(t, p.socketDir, filepath.Dir(address))
	info, err := os.Stat(address)
	require.NoError(t, err)
	require.Equal(t, os.ModeSocket|0o600, info.Mode())
	p.requireCleanStop(t)
}

func TestNodeModules(t *testing.T) {
	t.Parallel()
	const module = "import http from 'http'; await null; http.createServer((req, res) => " +
		"res.end(import.meta.url)).listen(1)"

	const common = "require('http').createServer((req, res) => res.end('common')).listen(1)"
	for name, c := range map[string]struct{ file, source, pkg, want string }{
		"mjs":            {file: "app.mjs", source: module, want: "app.mjs"},
		"type module":    {file: "app.js", source: module, pkg: `{"type": "module"}`, want: "app.js"},
		"type commonjs":  {file: "app.js", source: common, pkg: `{"type": "commonjs"}`, want: "common"},
		"cjs":            {file: "app.cjs", source: common, pkg: `{"type": "module"}`, want: "common"},
		"broken package": {file: "app.js", source: common, pkg: `{}`, want: "common"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := nodeApp(t, c.file, c.source)
			if c.pkg != "" {
				require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "package.json"), []byte(c.pkg),
					0o600))
			}

			p := start(t, nodeSpec(t, file))
			require.Contains(t, p.http(t).get(t, "/").body, c.want)
		})
	}
}

func TestNodeFailures(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ file, source, want string }{
		"exception": {
			"app.js", "process.stdout.write('partial'); throw new Error('no: database')",
			"Error: no: database\n    at ",
		},
		"no error":       {"app.js", "throw 'a string'", "'a string'"},
		"syntax":         {"app.js", "function (", "SyntaxError"},
		"later":          {"app.js", "setTimeout(() => { throw new Error('too late') }, 10)", "too late"},
		"rejection":      {"app.js", "Promise.reject(new Error('rejected'))", "rejected"},
		"missing module": {"app.js", "require('no-such-module')", "no-such-module"},
		"module":         {"app.mjs", "import 'no-such-module'", "no-such-module"},
		"module throws":  {"app.mjs", "await null; throw new Error('from a module')", "from a module"},
		"end":            {"app.js", "setTimeout(() => {}, 10)", "before an HTTP server of it listened"},
		"exit":           {"app.js", "process.exit(0)", "exit code 0 before"},
		"exit, a reason": {"app.js", "process.exit(4)", "exit code 4 before an HTTP server of it listened.\nWhat it printed"},
		"no auto": {
			"app.js", "PhusionPassenger.configure({autoInstall: false})",
			"before an HTTP server of it listened",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := startFailure(t, nodeSpec(t, nodeApp(t, c.file, c.source)))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)
			require.Equal(t, 1, p.exitCode(t))
		})
	}
}

func TestNodeSockets(t *testing.T) {
	t.Parallel()
	p := startNode(t, tcpOnly)
	require.Regexp(t, `^tcp://127\.0\.0\.1:\d+$`, p.address(t).Address.String())
	require.Equal(t, "hello", p.http(t).get(t, "/").body)

	_, err := startFailure(t, nodeSpec(t, absolute(t, "testdata/node/app.js"), func(s *spec) {
		s.request.SocketDir = "/tmp/" + strings.Repeat("x", 100)
	}))
	require.Contains(t, err.Message.Text, "shorter than 108 bytes")
}

// An exception after the start ends the process the way it always does.
func TestNodeCrash(t *testing.T) {
	t.Parallel()
	p := startNode(t)
	p.http(t).send(t, "/crash")
	require.Equal(t, 1, p.exitCode(t))
	require.Contains(t, p.out.String(), "the application crashes")
	require.NotContains(t, p.out.String(), "!> ")
}

func TestNodeGracefulStop(t *testing.T) {
	t.Parallel()
	p := startNode(t)
	idle, tunnel, busy := p.http(t), p.http(t), p.http(t)
	require.Equal(t, "hello", idle.get(t, "/").body)

	_, err := tunnel.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhead"))
	require.NoError(t, err)
	res, err := http.ReadResponse(tunnel.br, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)

	busy.send(t, "/wait")
	p.out.await(t, "waiting")
	p.closeStdin(t)

	// The idle connection is closed, the others are served on.
	_, err = idle.br.ReadByte()
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = tunnel.Write([]byte(" tail"))
	require.NoError(t, err)

	echoed := make([]byte, len("head tail"))
	for read := 0; read < len(echoed); {
		n, err := tunnel.br.Read(echoed[read:])
		require.NoError(t, err)
		read += n
	}

	require.Equal(t, "head tail", string(echoed))
	require.NoError(t, tunnel.Close())
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
	require.Equal(t, "begun finished", busy.read(t).body)
	require.Zero(t, p.exitCode(t))
}

// A spawner that goes away ends an application that has not listened yet.
func TestNodeStopBeforeListen(t *testing.T) {
	t.Parallel()
	s := nodeSpec(t, nodeApp(t, "app.js", "console.log('loaded'); setInterval(() => {}, 1000)"))
	p := launch(t, s)
	negotiated := make(chan error, 1)
	go func() { negotiated <- p.negotiate(s) }()
	p.out.await(t, "loaded")
	p.closeStdin(t)
	require.Zero(t, p.exitCode(t))

	select {
	case err := <-negotiated:
		require.Error(t, err)
	case <-time.After(deadline):
		require.FailNow(t, "the negotiation does not end")
	}
}

// Another spawner may give the loader its stdin and stdout only, as the handshake says.
func TestNodeWithoutASecondAdminSocket(t *testing.T) {
	t.Parallel()
	p := startNode(t, func(s *spec) { s.noSecondAdmin = true })
	require.Equal(t, "hello", p.http(t).get(t, "/").body)
	p.closeStdin(t)
	require.Zero(t, p.exitCode(t))
}

// An application may close its server and listen again, before anybody has heard of it and later: it keeps its address,
// and takes no other one. One that was closed for good makes room for another.
func TestNodeServersMayListenAgain(t *testing.T) {
	t.Parallel()

	const head = `
const http = require('http');
const respond = (text) => (req, res) => res.end(text + JSON.stringify(server.address()).includes('"port":999'));
let server = http.createServer(respond('again '));
const final = () => console.log('listens at last');
`
	for name, source := range map[string]string{
		"at once":       `server.listen(9990); server.close(); server.listen(9991, final);`,
		"with closing":  `server.listen(9990); server.close(() => console.log('closed')); server.listen(9991, final);`,
		"when closed":   `server.listen(9990, () => server.close(() => server.listen(9991, final)));`,
		"much later":    `server.listen(9990, () => server.close(() => setTimeout(() => server.listen(9991, final), 50)));`,
		"three times":   `server.listen(1); server.close(); server.listen(2); server.close(); server.listen(3, final);`,
		"another":       `server.listen(1); server.close(() => { server = http.createServer(respond('again ')).listen(9990, final); });`,
		"while serving": `server.listen(1, () => setTimeout(() => server.close(() => server.listen(9990, final)), 50));`,
	} {
		for how, option := range map[string]func(*spec){"unix": func(*spec) {}, "tcp": tcpOnly} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				p := start(t, nodeSpec(t, nodeApp(t, "app.js", head+source), option))
				p.out.await(t, "listens at last")
				require.Equal(t, "again false", p.http(t).get(t, "/").body)
			})
		}
	}
}

// Requests come by HTTP/1.1 without TLS. What else listens is named, before the time for the start is over, and what to
// do.
func TestNodeServersThatGetNoRequestsAreNamed(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ source, seen, advice string }{
		"https":        {`require('https').createServer({}).listen(0, '127.0.0.1')`, "listens by TLS on port ", "ssl_certificate"},
		"HTTP/2 + TLS": {`require('http2').createSecureServer({}).listen(0, '127.0.0.1')`, "listens by HTTP/2 with TLS on port ", "ssl_certificate"},
		"HTTP/2":       {`require('http2').createServer().listen(0, '127.0.0.1')`, "listens by HTTP/2 on port ", "http.createServer()"},
		"net":          {`require('net').createServer().listen(0, '127.0.0.1')`, "listens by a socket on port ", "listen('passenger')"},
		"two": {
			`require('net').createServer().listen('own.sock'); require('https').createServer({}).listen(0, '127.0.0.1')`,
			"listens by a socket on own.sock, TLS on port ", "ssl_certificate",
		},
		"not installed": {
			`PhusionPassenger.configure({autoInstall: false}); require('http').createServer().listen(0, '127.0.0.1')`,
			"listens by HTTP on port ", "Auto-installation is off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := startFailure(t, nodeSpec(t, nodeApp(t, "app.js", c.source), func(s *spec) {
				s.request.StartTimeout = time.Second
			}))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.seen)
			require.Contains(t, err.Message.Text, c.advice)
			require.NotContains(t, err.Message.Text, "    at ")
			require.Contains(t, p.out.String(), "Passenger's Node.js loader: The application listens by ")
			require.Equal(t, 1, p.exitCode(t))
		})
	}

	// They do no harm beside one that takes requests.
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		require('https').createServer({}).listen(0, '127.0.0.1', () => setTimeout(() => {
			require('http').createServer((req, res) => res.end('served')).listen(80);
		}, 20));`), func(s *spec) { s.request.StartTimeout = deadline }))
	require.Equal(t, "served", p.http(t).get(t, "/").body)
}
