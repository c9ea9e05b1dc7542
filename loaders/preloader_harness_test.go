package loaders_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// preloader is a preloader that the harness, in the place of a spawner, has
// started. Its out has what it printed, without the lines of the protocol.
type preloader struct {
	*process
	ready *loaderproto.PreloaderReady

	mu    sync.Mutex
	exits map[int]chan loaderproto.WorkerExit
}

// allPreloaderFeatures is what a spawner offers to a preloader.
func allPreloaderFeatures(s *spec) {
	s.request.Features = []string{loaderproto.FeatureWorkerStderr, loaderproto.FeatureWorkerExits, "another_one"}
}

// startPreloader starts a preloader that has to become ready.
func startPreloader(t *testing.T, s *spec) *preloader {
	t.Helper()
	p := launchPreloader(t, s)
	require.NoError(t, p.negotiate(s), "output: %s", p.out.String())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of the preloader:\n%s", p.out.String())
		}
	})

	return p
}

// startPreloaderFailure starts a preloader that has to fail.
func startPreloaderFailure(t *testing.T, s *spec) (*preloader, *loaderproto.Error) {
	t.Helper()
	p := launchPreloader(t, s)
	err := p.negotiate(s)
	var failure *loaderproto.Error
	require.ErrorAs(t, err, &failure)

	return p, failure
}

func launchPreloader(t *testing.T, s *spec) *preloader {
	t.Helper()
	return &preloader{process: launch(t, s), exits: map[int]chan loaderproto.WorkerExit{}}
}

func (p *preloader) negotiate(s *spec) error {
	s.request.ConnectPassword = password
	n := loaderproto.Negotiation{Request: s.request, Noise: func(b []byte) { _, _ = p.out.Write(b) }}
	if err := p.stdio.SetDeadline(time.Now().Add(deadline)); err != nil {
		return err
	}

	ready, rest, err := n.NegotiatePreloader(p.stdio)
	if err != nil {
		return err
	}

	p.ready = ready
	if err := p.stdio.SetDeadline(time.Time{}); err != nil {
		return err
	}

	go func() {
		_ = loaderproto.ReadWorkerExits(rest, func(b []byte) { _, _ = p.out.Write(b) },
			func(e loaderproto.WorkerExit) { p.exit(e.PID) <- e })
	}()

	return nil
}

func (p *preloader) exit(pid int) chan loaderproto.WorkerExit {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.exits[pid]
	if !ok {
		c = make(chan loaderproto.WorkerExit, 1)
		p.exits[pid] = c
	}

	return c
}

// awaitExit waits until the preloader tells how a worker ended.
func (p *preloader) awaitExit(t *testing.T, w *worker) loaderproto.WorkerExit {
	t.Helper()

	select {
	case e := <-p.exit(w.pid):
		return e
	case <-time.After(deadline):
		require.FailNow(t, "the preloader does not tell of the worker's end", p.out.String())
		return loaderproto.WorkerExit{}
	}
}

// requireProtected checks that only the owner can connect to the socket for
// commands.
func (p *preloader) requireProtected(t *testing.T) {
	t.Helper()
	require.Equal(t, "unix", p.ready.Address.Network)
	require.Equal(t, p.socketDir, filepath.Dir(p.ready.Address.Addr))
	info, err := os.Stat(p.ready.Address.Addr)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.GreaterOrEqual(t, len(filepath.Base(p.ready.Address.Addr)), len("wsgi.")+10)
	require.LessOrEqual(t, len(filepath.Base(p.ready.Address.Addr)), maxSocketName)
}

// dial connects to the socket for commands.
func (p *preloader) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", p.ready.Address.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	unix, ok := conn.(*net.UnixConn)
	require.True(t, ok)

	return unix
}

// withDescriptors is a connection whose next write carries descriptors.
type withDescriptors struct {
	*net.UnixConn
	files []*os.File
}

func (w *withDescriptors) Write(b []byte) (int, error) {
	var rights []byte
	if len(w.files) > 0 {
		fds := make([]int, len(w.files))
		for i, f := range w.files {
			fds[i] = int(f.Fd())
		}

		rights = syscall.UnixRights(fds...)
		w.files = nil
	}

	n, _, err := w.WriteMsgUnix(b, rights, nil)

	return n, err
}

// worker is a process that a preloader has forked. Its end is that of its
// stdout; how it ended is what the preloader tells. Its errors is what came by
// the pipe of its own, its out what it printed to stdout.
type worker struct {
	*process
	pid    int
	errors output
}

// spawn asks for a worker that gets a pipe of its own for its stderr, if that
// was agreed, and has to become ready.
func (p *preloader) spawn(t *testing.T, s *spec) *worker {
	t.Helper()
	w := p.fork(t, s)
	require.NoError(t, w.negotiate(s), "output: %s%s", w.out.String(), w.errors.String())

	return w
}

// spawnFailure asks for a worker that has to be forked and to fail then.
func (p *preloader) spawnFailure(t *testing.T, s *spec) (*worker, *loaderproto.Error) {
	t.Helper()
	w := p.fork(t, s)
	err := w.negotiate(s)
	var failure *loaderproto.Error
	require.ErrorAs(t, err, &failure)

	return w, failure
}

// fork asks for a worker and leaves it before its handshake, which the caller
// has to go on with.
func (p *preloader) fork(t *testing.T, s *spec) *worker {
	t.Helper()
	w := &worker{process: &process{socketDir: t.TempDir(), done: make(chan struct{})}}
	if s.request.SocketDir == "" && !s.noSocketDir {
		s.request.SocketDir = w.socketDir
	}

	conn := &withDescriptors{UnixConn: p.dial(t)}
	if p.ready.HasFeature(loaderproto.FeatureWorkerStderr) {
		r, theirs, err := os.Pipe()
		require.NoError(t, err)
		conn.files = []*os.File{theirs}
		defer func() { require.NoError(t, theirs.Close()) }()
		go func() {
			_, _ = io.Copy(&w.errors, r)
			_ = r.Close()
		}()
	}

	require.NoError(t, loaderproto.SendSpawnCommand(conn, &s.request))

	// One byte at a time, so that nothing of the handshake is left in a buffer.
	pid, _, err := loaderproto.ReadSpawnReply(iotest.OneByteReader(conn.UnixConn))
	require.NoError(t, err, p.out.String())
	group, err := syscall.Getpgid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, group, "the reply implies that the worker leads its own process group")
	w.pid = pid
	w.stdio = conn.UnixConn
	child, err := os.FindProcess(pid)
	require.NoError(t, err)
	w.cmd = &exec.Cmd{Process: child}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of worker %d:\n%s%s", pid, w.out.String(), w.errors.String())
		}

		if conn.CloseWrite() == nil {
			w.requireEnd(t)
		}
	})

	return w
}

// negotiate has the worker's own handshake. From then on its stdout is read up
// to the end.
func (w *worker) negotiate(s *spec) error {
	s.request.ConnectPassword = password
	n := loaderproto.Negotiation{Request: s.request, Noise: func(b []byte) { _, _ = w.out.Write(b) }}
	var rest io.Reader = w.stdio
	defer func() {
		_ = w.stdio.SetDeadline(time.Time{})
		go func() {
			_, _ = io.Copy(&w.out, rest)
			close(w.done)
		}()
	}()
	ready, after, err := n.Negotiate(w.stdio)
	if err != nil {
		return err
	}

	w.ready, rest = ready, after

	return nil
}

// requireEnd waits until the worker is gone, without the preloader's help.
func (w *worker) requireEnd(t *testing.T) {
	t.Helper()

	select {
	case <-w.done:
	case <-time.After(deadline):
		require.FailNow(t, "the worker does not end", w.out.String()+w.errors.String())
	}
}

// requireCleanStop ends the worker and checks that nothing is left of it.
func (w *worker) requireCleanStop(t *testing.T) {
	t.Helper()
	w.closeStdin(t)
	w.requireEnd(t)
	left, err := filepath.Glob(filepath.Join(w.socketDir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
