package loaders_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// rawSpawn sends a command with descriptors, and returns the worker's pid,
// which then ends because the connection does.
func (p *preloader) rawSpawn(t *testing.T, files ...*os.File) int {
	t.Helper()
	conn := &withDescriptors{UnixConn: p.dial(t), files: files}
	require.NoError(t, loaderproto.SendSpawnCommand(conn, &loaderproto.Request{AppRoot: "/"}))

	for _, f := range files {
		require.NoError(t, f.Close())
	}

	pid, _, err := loaderproto.ReadSpawnReply(conn.UnixConn)
	require.NoError(t, err, p.out.String())
	require.NoError(t, conn.Close())

	return pid
}

// requireEOF checks that no process has the other end of a pipe open any more, and
// that nothing was written to it.
func requireEOF(t *testing.T, r *os.File) {
	t.Helper()
	require.NoError(t, r.SetReadDeadline(time.Now().Add(deadline)))
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Empty(t, string(b))
	require.NoError(t, r.Close())
}

func TestWSGIPreloaderStderr(t *testing.T) {
	t.Parallel()
	p := startWSGIPreloader(t)

	// Its end comes only if the worker alone has had it.
	r, theirs, err := os.Pipe()
	require.NoError(t, err)
	require.Positive(t, p.rawSpawn(t, theirs))
	require.NoError(t, r.SetReadDeadline(time.Now().Add(deadline)))
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(b), "closed the connection before it had sent its request")

	readers, writers := make([]*os.File, 3), make([]*os.File, 3)
	for i := range readers {
		var err error
		readers[i], writers[i], err = os.Pipe()
		require.NoError(t, err)
	}

	require.Positive(t, p.rawSpawn(t, writers...))

	for _, r := range readers {
		requireEOF(t, r)
	}

	p.out.await(t, "closed 3 descriptors that came with a command")

	require.Positive(t, p.rawSpawn(t))
	p.out.await(t, "closed the connection before it had sent its request")
}

func TestWSGIPreloaderBadCommands(t *testing.T) {
	t.Parallel()

	p := startWSGIPreloader(t)
	for command, message := range map[string]string{
		"reload\n\n":                                "the command 'reload' is unknown",
		"!> Error\n":                                "the command '!> Error' is unknown",
		"spawn\nkey: value\n":                       "the connection ended before the command was complete",
		"spawn\n" + strings.Repeat("x", 70<<10):     "the command is longer than 65536 bytes",
		strings.Repeat("y", 70<<10):                 "the command is longer than 65536 bytes",
		"spawn\n\nYou have control 1.0\nkey: v\n\n": "something followed the command",
	} {
		conn := p.dial(t)

		// It may be refused, and the connection closed, before all was sent.
		_, _ = conn.Write([]byte(command))
		_ = conn.CloseWrite()
		b, _ := io.ReadAll(conn)
		require.Empty(t, string(b), "%.100q", command)
		p.out.await(t, message)
	}

	require.Positive(t, p.rawSpawn(t))
	w := p.spawn(t, wsgiWorkerSpec())
	require.Equal(t, w.pid, w.wsgiIdentity(t).PID)
}

// impatient is the beginning of an application that shortens time limits.
const impatient = `
from passenger_loader import command, direct
command.SECONDS = 0.2
direct.HEAD_SECONDS = direct.LINGER_SECONDS = direct.DirectConnection.patience = 0.2
`

func TestWSGIPreloaderSlowCommands(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, impatient+`
def application(env, start_response):
    start_response("200 OK", [])
    return [b"served"]
`)))
	silent, half := p.dial(t), p.dial(t)
	_, err := half.Write([]byte("spawn\napp_root: /"))
	require.NoError(t, err)

	for _, conn := range []net.Conn{silent, half} {
		_, err := io.ReadAll(conn)
		if !errors.Is(err, syscall.ECONNRESET) {
			require.NoError(t, err)
		}
	}

	p.out.await(t, "the command was not complete in time")
	require.Equal(t, "served", p.spawn(t, wsgiWorkerSpec()).get(t, "/").body)
}

func TestWSGIPreloaderCannotFork(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, `
import errno, os
fork, failures = os.fork, [OSError(errno.EAGAIN, "no processes left")]
def sometimes():
    if failures:
        raise failures.pop()
    return fork()
os.fork = sometimes
def application(env, start_response):
    start_response("200 OK", [])
    return [b"served"]
`)))
	conn := p.dial(t)
	require.NoError(t, loaderproto.SendSpawnCommand(conn, &loaderproto.Request{AppRoot: "/"}))
	_, _, err := loaderproto.ReadSpawnReply(conn)
	var failure *loaderproto.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, loaderproto.AppError, failure.Kind)
	require.Contains(t, failure.Message.Text, "no processes left")
	require.Equal(t, "served", p.spawn(t, wsgiWorkerSpec()).get(t, "/").body)
}

// The worker is ready to speak long before the preloader has replied.
func TestWSGIPreloaderRepliesFirst(t *testing.T) {
	t.Parallel()
	p := startPreloader(t, wsgiPreloaderSpec(t, python(t), writeWSGIApp(t, `
import os, time
os.register_at_fork(after_in_parent=lambda: time.sleep(0.02))
def application(env, start_response): pass
`)))
	const workers = 50
	said := make([]string, workers)

	var wg sync.WaitGroup
	for i := range workers {
		conn := p.dial(t)
		wg.Go(func() { said[i] = spawnAndListen(conn) })
	}

	wg.Wait()

	pids := map[string]bool{}
	for _, s := range said {
		lines := strings.Split(s, "\n")
		require.Equal(t, "OK", lines[0], s)
		require.Regexp(t, `^\d+$`, lines[1])
		require.Equal(t, "!> I have control 1.0", lines[2])
		pids[lines[1]] = true
	}

	require.Len(t, pids, workers)
	p.requireCleanStop(t)
}

// spawnAndListen returns what is said up to the greeting of the worker.
func spawnAndListen(conn *net.UnixConn) string {
	defer conn.Close()
	if err := loaderproto.SendSpawnCommand(conn, &loaderproto.Request{AppRoot: "/"}); err != nil {
		return err.Error()
	}

	var said strings.Builder
	for b := make([]byte, 256); !strings.Contains(said.String(), "control 1.0\n"); {
		n, err := conn.Read(b)
		said.Write(b[:n])
		if err != nil {
			return said.String() + err.Error()
		}
	}

	return said.String()
}
