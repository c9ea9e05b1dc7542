package loaders_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The listeners of an application for a signal to end, which every other supervisor sends, are called when no request
// is in hand, and have a server that can still be closed.
func TestNodeEndsByTheApplicationsOwnSignalListener(t *testing.T) {
	t.Parallel()

	const server = `
		const server = require('http').createServer((req, res) => {
			process.once('SIGUSR2', () => res.end('finished'));
			console.log('request in hand');
		});
		server.listen();
		process.on('exit', (code) => console.log('the end', code));
	`

	for name, c := range map[string]struct{ listener, printed string }{
		"closes the server": {
			`process.on('SIGTERM', (signal) => server.close(async (err) => {
				console.log(signal, err);
				await new Promise(setImmediate);
				process.exit(0);
			}));`, "SIGTERM undefined\nthe end 0\n",
		},
		"leaves the end to the loader": {"process.on('SIGTERM', () => console.log('asked'));", "asked\nthe end 0\n"},
		"for Ctrl-C":                   {"process.once('SIGINT', (signal) => console.log(signal));", "SIGINT\nthe end 0\n"},
		"for both": {
			"['SIGINT', 'SIGTERM'].forEach((name) => process.on(name, (signal) => console.log(signal)));",
			"SIGTERM\nthe end 0\n",
		},
		"exits at once": {"process.on('SIGTERM', () => process.exit(0));", "the end 0\n"},
		"no longer":     {"process.on('SIGTERM', exit); process.off('SIGTERM', exit); function exit() {}", "the end 0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nodeSpec(t, nodeApp(t, "app.js", server+c.listener)))
			idle, busy := p.http(t), p.http(t)
			busy.send(t, "/")
			p.out.await(t, "request in hand")
			p.closeStdin(t)

			_, err := idle.br.ReadByte()
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
			require.Equal(t, "finished", busy.read(t).body)
			require.Zero(t, p.exitCode(t))
			require.Contains(t, p.out.String(), "request in hand\n"+c.printed)
		})
	}
}

// What ends by the cluster module has not been asked by a signal.
func TestNodeWorkerThatDisconnectsGetsNoSignal(t *testing.T) {
	t.Parallel()
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
		const cluster = require('cluster');
		process.on('SIGTERM', () => console.log('signal'));
		if (cluster.isPrimary) cluster.fork();
		else require('http').createServer((req, res) => {
			cluster.worker.disconnect();
			res.end('finished');
		}).listen();`)))
	require.Equal(t, "finished", p.http(t).get(t, "/").body)
	require.Zero(t, p.exitCode(t))
	require.NotContains(t, p.out.String(), "signal")
}

// SIGTERM from elsewhere, as systemd sends it to all processes of a unit, lets requests finish; a second one does not.
func TestNodeEndsBySIGTERM(t *testing.T) {
	t.Parallel()

	for _, twice := range []bool{false, true} {
		p := start(t, nodeSpec(t, nodeApp(t, "app.js", `
			require('http').createServer((req, res) => {
				process.once('SIGUSR2', () => res.end('finished'));
				console.log('request in hand');
				setInterval(() => process.listenerCount('SIGTERM') || console.log('told'), 1);
			}).listen();`)))
		busy := p.http(t)
		busy.send(t, "/")
		p.out.await(t, "request in hand")
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		if twice {
			p.out.await(t, "told")
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
			_, err := busy.br.ReadByte()
			require.Error(t, err)

			continue
		}

		require.NoError(t, p.cmd.Process.Signal(syscall.SIGUSR2))
		require.Equal(t, "finished", busy.read(t).body)
		require.Zero(t, p.exitCode(t))
	}
}
