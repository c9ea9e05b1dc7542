package loaders_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const nodeServer = "const server = require('http').createServer((req, res) => res.end('hello'));\n"

func TestNodeExitEvent(t *testing.T) {
	t.Parallel()
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		let finish;
		require('http').createServer((req, res) => {
			console.log('request in hand');
			finish = () => res.end('finished');
		}).listen();
		PhusionPassenger.on('exit', () => { throw new Error('thrown'); });
		PhusionPassenger.on('exit', () => Promise.reject('rejected'));
		PhusionPassenger.once('exit', async function () {
			console.log('asked to stop', this === PhusionPassenger);
			await new Promise((resolve) => process.once('SIGUSR2', resolve));
			console.log('cleaning up');
			finish();
			await new Promise(setImmediate);
			console.log('cleaned up');
		});
		PhusionPassenger.on('exit', () => console.log('not kept from running'));
		process.on('exit', () => console.log('the end'));`)))

	c := p.http(t)
	c.send(t, "/")
	p.out.await(t, "request in hand")
	p.closeStdin(t)
	p.out.await(t, "asked to stop true")
	p.out.await(t, "not kept from running")
	require.NotContains(t, p.out.String(), "the end")

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
	require.Equal(t, "finished", c.read(t).body)
	require.Zero(t, p.exitCode(t))
	require.Regexp(t, `(?s)cleaning up.*cleaned up.*the end`, p.out.String())
	require.Regexp(t, `listener for PhusionPassenger's 'exit' failed: Error: thrown\n    at `, p.out.String())
	require.Contains(t, p.out.String(), "failed: rejected\n")
}

// The event comes as well to an application that has not listened yet.
func TestNodeExitEventBeforeListen(t *testing.T) {
	t.Parallel()
	s := nodeSpec(t, nodeApp(t, "app.js", `
		setInterval(() => {}, 1000);
		PhusionPassenger.on('exit', async () => { await null; console.log('cleaned up'); });
		console.log('loaded');`))
	p := launch(t, s)
	negotiated := make(chan error, 1)
	go func() { negotiated <- p.negotiate(s) }()
	p.out.await(t, "loaded")
	p.closeStdin(t)
	require.Zero(t, p.exitCode(t))
	require.Error(t, <-negotiated)
	p.out.await(t, "cleaned up")
}

func TestNodeAdvertisedConcurrency(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		source       string
		main, direct int
	}{
		"default": {"", 0, 1},
		"null":    {"PhusionPassenger.advertisedConcurrencyLevel = null;", 0, 1},
		"zero":    {"PhusionPassenger.advertisedConcurrencyLevel = 0;", 0, 0},
		"some":    {"PhusionPassenger.advertisedConcurrencyLevel = 7;", 7, 7},
		"refused": {
			"try { PhusionPassenger.advertisedConcurrencyLevel = -1 } catch (err) { console.log(err.message) }",
			0, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nodeSpec(t, nodeApp(t, "app.js", nodeServer+c.source+"server.listen()")))

			concurrency := map[string]int{}
			for _, s := range p.ready.Sockets {
				concurrency[s.Name] = s.Concurrency
			}

			require.Equal(t, map[string]int{"main": c.main, "http": c.direct}, concurrency)
			if name == "refused" {
				p.out.await(t, "advertisedConcurrencyLevel has to be a number of requests, 0 for no limit, or null; "+
					"it cannot be -1.")
			}
		})
	}
}

// A process is the primary one of an application that uses the cluster module, and runs it once more as the one
// worker, whose server is the application's whatever the primary process listens on.
func TestNodeClusterRunsTheWorkerInTheSameProcess(t *testing.T) {
	t.Parallel()

	const serve = `
		if (cluster.isPrimary && cluster.isMaster && !cluster.isWorker && !cluster.worker && !process.send) {
			globalThis.events = [];
			for (const event of ['fork', 'online', 'listening']) cluster.on(event, (of) => events.push(event + of.id));
			http.createServer((req, res) => res.end('the primary process')).listen(3001);
			const workers = new Set();
			for (let i = 0; i < 4; i++) workers.add(cluster.fork({ NUMBER: '7' }));
			cluster.on('exit', () => cluster.fork());
			events.push(workers.size + ' worker');
		} else {
			const { id, process: of } = cluster.worker;
			const about = [cluster.isWorker, cluster.isPrimary, cluster.worker instanceof cluster.Worker, id, of.pid,
				cluster.worker.isConnected(), cluster.worker.isDead(), process.connected, process.env.NUMBER];
			http.createServer((req, res) => res.end(JSON.stringify([...about, ...events]))).listen(3000);
		}`

	for name, c := range map[string]struct{ file, source string }{
		"commonjs": {"app.js", "const cluster = require('cluster'); const http = require('node:http');" + serve},
		"module":   {"app.mjs", "import cluster from 'node:cluster'; import http from 'http';" + serve},
		"names": {"app.mjs", "import cluster, { isPrimary, isWorker } from 'cluster'; import http from 'http';" +
			"if (isPrimary === isWorker) throw new Error('neither or both');" + serve},
		"file of its own": {"app.js", "const cluster = require('cluster');" +
			"cluster.setupPrimary({ exec: 'worker.js', args: ['one'] }); cluster.fork();" +
			"require('fs').writeFileSync('worker.js', `if (process.argv[2] !== 'one') throw new Error(process.argv); " +
			"const events = ['1 worker', 'fork1', 'online1', 'listening1']; process.env.NUMBER = 7;" +
			"const cluster = require('cluster'); const http = require('http'); ${" + strconv.Quote(serve) + "}`)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			p := start(t, nodeSpec(t, nodeApp(t, c.file, c.source)))
			var about []any
			require.NoError(t, json.Unmarshal([]byte(p.http(t).get(t, "/").body), &about))
			require.Equal(t, []any{
				true, false, true, 1.0, float64(p.cmd.Process.Pid), true, false, true, "7",
				"1 worker", "fork1", "online1", "listening1",
			}, about)
			p.requireCleanStop(t)
		})
	}
}

// What an application does that is no primary process of any worker stays as it is with `node app.js`.
func TestNodeClusterWithoutAWorker(t *testing.T) {
	t.Parallel()

	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const cluster = require('cluster');
		const about = [
			cluster.isPrimary,
			cluster.isWorker,
			typeof cluster.worker,
			typeof process.send,
			process.connected,
		];
		require('http').createServer((req, res) => res.end(about.join())).listen(3000);`)))

	require.Equal(t, "true,false,undefined,undefined,", p.http(t).get(t, "/").body)
	p.requireCleanStop(t)
}

// The two of a process send messages to each other, and the primary process hands over connections.
func TestNodeClusterMessages(t *testing.T) {
	t.Parallel()

	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const cluster = require('cluster');
		const net = require('net');
		if (cluster.isPrimary) {
			const asked = { what: 'question', when: new Date(0), nothing: undefined };
			cluster.fork().on('message', (message) => cluster.workers[1].send({ replyTo: message, asked }));
			cluster.on('message', (worker, message) => console.log('cluster', worker.id, JSON.stringify(message)));
			const gate = net.createServer((socket) => cluster.workers[1].send('connection', socket));
			gate.listen(0, '127.0.0.1', () => console.log('gate', gate.address().port));
		} else {
			process.on('message', (message, socket) => {
				if (socket) {
					socket.end('handed over');
					return;
				}
				console.log('worker', JSON.stringify(message));
				require('http').createServer((req, res) => res.end('served')).listen();
			});
			process.send({ question: 1 }, () => console.log('sent'));
		}`)))

	p.out.await(t, `cluster 1 {"question":1}`)
	p.out.await(t, "sent")
	p.out.await(t, `worker {"replyTo":{"question":1},"asked":{"what":"question","when":"1970-01-01T00:00:00.000Z"}}`)
	require.Equal(t, "served", p.http(t).get(t, "/").body)

	port := regexp.MustCompile(`gate (\d+)`).FindStringSubmatch(p.out.String())
	require.NotNil(t, port)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", port[1]))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "handed over", string(text))
}

// The primary process's server is the application's where the worker has none that listens: it hands connections
// to the worker.
func TestNodeClusterServerOfThePrimaryProcess(t *testing.T) {
	t.Parallel()

	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const cluster = require('cluster');
		if (cluster.isPrimary) {
			require('http').createServer((req, res) => res.end('the primary process')).listen(3000);
			cluster.fork();
		}`)))

	require.Equal(t, "the primary process", p.http(t).get(t, "/").body)
	p.requireCleanStop(t)
}

// What a worker of Node.js would get from its primary process, a server's port
// and a socket for datagrams, comes without it.
func TestNodeClusterSockets(t *testing.T) {
	t.Parallel()
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const dgram = require('dgram');
		const net = require('net');
		const udp = (bind) => new Promise((resolve) => {
			const socket = dgram.createSocket('udp4');
			socket.on('message', (message) => resolve(String(message)));
			socket.once('listening', () => {
				dgram.createSocket('udp4').send('datagram', socket.address().port, '127.0.0.1');
			});
			bind(socket);
		});
		async function run() {
			const other = net.createServer((socket) => socket.end('other')).listen(0, '127.0.0.1');
			await new Promise((resolve) => other.once('listening', resolve));
			const { port } = other.address();
			const taken = await new Promise((resolve) => {
				net.createServer().on('error', resolve).listen(port, '127.0.0.1');
			});
			const datagrams = await Promise.all([
				udp((socket) => socket.bind()),
				udp((socket) => socket.bind(0)),
				udp((socket) => socket.bind(() => {})),
				udp((socket) => socket.bind(0, '127.0.0.1', () => {})),
				udp((socket) => socket.bind({ port: 0, address: '127.0.0.1' })),
			]);
			const body = JSON.stringify({ port, taken: taken.code, datagrams });
			require('http').createServer((req, res) => res.end(body)).listen();
		}
		run();`)))

	var report struct {
		Port      int
		Taken     string
		Datagrams []string
	}
	require.NoError(t, json.Unmarshal([]byte(p.http(t).get(t, "/").body), &report))
	require.Equal(t, "EADDRINUSE", report.Taken)
	require.Equal(t, []string{"datagram", "datagram", "datagram", "datagram", "datagram"}, report.Datagrams)

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", (&net.TCPAddr{
		IP:   net.IPv4(127, 0, 0, 1),
		Port: report.Port,
	}).String())
	require.NoError(t, err)
	require.Equal(t, "other", (&session{conn, bufio.NewReader(conn)}).raw(t))
}

// A worker that ends itself does so after the requests in hand, or at once.
func TestNodeClusterEnds(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ end, want string }{
		"disconnect": {"cluster.worker.disconnect()", "finished"},
		"kill":       {"cluster.worker.kill()", ""},
		"destroy":    {"cluster.worker.destroy()", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
				const cluster = require('cluster');
				if (cluster.isPrimary) cluster.fork();
				else require('http').createServer((req, res) => {
					`+c.end+`;
					console.log('ended', cluster.worker.exitedAfterDisconnect);
					setImmediate(() => res.end('finished'));
				}).listen();`)))
			conn := p.http(t)
			conn.send(t, "/")
			if c.want != "" {
				require.Equal(t, c.want, conn.read(t).body)
				p.out.await(t, "ended true")
			}

			require.Zero(t, p.exitCode(t))
		})
	}
}

// Node.js decides what kind of module a startup file is, and what it means for
// one to fail.
func TestNodeStartupFiles(t *testing.T) {
	t.Parallel()
	const module = "import http from 'http'; await null; http.createServer((req, res) => " +
		"res.end(process.argv[1])).listen()"
	t.Run("symlink", func(t *testing.T) {
		t.Parallel()
		file := nodeApp(t, "real.mjs", module)
		link := filepath.Join(t.TempDir(), "app.js")
		require.NoError(t, os.Symlink(file, link))
		p := start(t, nodeSpec(t, link))
		require.Equal(t, link, p.http(t).get(t, "/").body)
	})
	t.Run("bin/www", func(t *testing.T) {
		t.Parallel()
		file := nodeApp(t, "app.js", "module.exports = (req, res) => res.end()")
		require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(file), "bin"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "bin", "www"), nil, 0o600))
		_, err := startFailure(t, nodeSpec(t, file))
		require.Contains(t, err.Message.Text, "--startup-file bin/www")
	})

	for name, c := range map[string]struct{ file, source, pkg, want string }{
		"module ends": {
			"app.mjs", "export default 1", "",
			"ended with exit code 0 before an HTTP server of it listened",
		},
		"application exported": {
			"app.js", "module.exports = (req, res) => res.end()", "",
			"app.js exports an application and does not call listen()",
		},
		"module never settles": {"app.mjs", "await new Promise(() => {})", "", "at a top-level await that never settles"},
		"type module ends":     {"app.js", "await null", `{"type": "module"}`, "before an HTTP server of it listened"},
		"type module throws":   {"app.js", "await null; throw new Error('late')", `{"type": "module"}`, "Error: late"},
		"module in commonjs":   {"app.cjs", "import 'http'", "", "SyntaxError"},
		"require in module":    {"app.mjs", "require('http')", "", "require is not defined"},
		"handled rejections": {
			"app.mjs", "process.on('unhandledRejection', () => {}); await null; throw new Error('of the main module')",
			"",
			"of the main module",
		},
		"missing": {"app.js", "", "", "Cannot find module"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := nodeApp(t, c.file, c.source)
			if c.pkg != "" {
				require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "package.json"), []byte(c.pkg),
					0o600))
			}

			if c.source == "" {
				require.NoError(t, os.Remove(file))
			}

			p, err := startFailure(t, nodeSpec(t, file))
			require.Equal(t, loaderproto.AppError, err.Kind)
			require.Contains(t, err.Message.Text, c.want)

			want := 1
			if name == "module never settles" {
				want = 13 // what Node.js itself says of it comes with its own code only
			}

			require.Equal(t, want, p.exitCode(t))
		})
	}
}
