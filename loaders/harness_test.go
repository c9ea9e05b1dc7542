package loaders_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/printed"
	"github.com/gopassenger/passenger/loaderproto"
)

const (
	deadline = 30 * time.Second
	password = "secret-of-the-group"
)

// spec says what to start. Request fields that are empty get defaults.
type spec struct {
	argv    []string
	env     []string
	request loaderproto.Request
	// noSocketDir reports whether the request names no directory for sockets.
	noSocketDir bool
	// noSecondAdmin reports whether a loader of Node.js finds its stdin and stdout only.
	noSecondAdmin bool
}

func keepAlive(s *spec) {
	s.request.Features = []string{loaderproto.FeatureSessionKeepAlive, "another_one"}
}

func tcpOnly(s *spec) { s.noSocketDir = true }

// process is an application that the harness, in the place of a spawner, has
// started.
type process struct {
	cmd       *exec.Cmd
	stdio     net.Conn
	socketDir string
	out       output
	ready     *loaderproto.Ready
	done      chan struct{}
	// read is closed when what the process prints to stdout was read; nil before it is ready.
	read chan struct{}
}

// start starts a process that has to become ready.
func start(t *testing.T, s *spec) *process {
	t.Helper()
	p := launch(t, s)
	require.NoError(t, p.negotiate(s), "output: %s", p.out.String())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of the process:\n%s", p.out.String())
		}
	})

	return p
}

// startFailure starts a process that has to fail.
func startFailure(t *testing.T, s *spec) (*process, *loaderproto.Error) {
	t.Helper()
	p := launch(t, s)
	err := p.negotiate(s)
	var failure *loaderproto.Error
	require.ErrorAs(t, err, &failure)

	return p, failure
}

func launch(t *testing.T, s *spec) *process {
	t.Helper()
	p := &process{socketDir: t.TempDir(), done: make(chan struct{})}
	if s.request.SocketDir == "" && !s.noSocketDir {
		s.request.SocketDir = p.socketDir
	}

	ours, theirs := socketpair(t)
	p.stdio = ours
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), s.argv[0], s.argv[1:]...)
	p.cmd.Dir = s.request.AppRoot
	p.cmd.Env = append(os.Environ(), append([]string{"IN_PASSENGER=1", "PYTHONUNBUFFERED=1"}, s.env...)...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs, theirs, &p.out
	if s.request.AppType == "node" && !s.noSecondAdmin {
		p.cmd.ExtraFiles = []*os.File{theirs}
	}

	p.cmd.WaitDelay = time.Second
	require.NoError(t, p.cmd.Start())
	require.NoError(t, theirs.Close())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.stdio.Close()
		select {
		case <-p.done:
		case <-time.After(deadline):
			t.Errorf("the process did not end when its stdin was closed")
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})

	return p
}

func socketpair(t *testing.T) (net.Conn, *os.File) {
	t.Helper()
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}

	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	require.NoError(t, err)
	require.NoError(t, ours.Close())

	return conn, theirs
}

func (p *process) negotiate(s *spec) error {
	s.request.ConnectPassword = password
	n := loaderproto.Negotiation{Request: s.request, Noise: func(b []byte) { _, _ = p.out.Write(b) }}
	if err := p.stdio.SetDeadline(time.Now().Add(deadline)); err != nil {
		return err
	}

	ready, rest, err := n.Negotiate(p.stdio)
	if err != nil {
		return err
	}

	p.ready = ready
	if err := p.stdio.SetDeadline(time.Time{}); err != nil {
		return err
	}

	p.read = make(chan struct{})
	go func() {
		defer close(p.read)
		_, _ = io.Copy(&p.out, rest)
	}()

	return nil
}

// closeStdin does what a spawner does to end a process.
func (p *process) closeStdin(t *testing.T) {
	t.Helper()
	conn, ok := p.stdio.(*net.UnixConn)
	require.True(t, ok)
	require.NoError(t, conn.CloseWrite())
}

// exitCode waits for the end of the process.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()

	select {
	case <-p.done:
		p.awaitOutput()
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(deadline):
		require.FailNow(t, "the process does not end", p.out.String())
		return 0
	}
}

// awaitOutput waits until what the process has printed was read, if no child of its own holds stdout open.
func (p *process) awaitOutput() {
	if p.read == nil {
		return
	}

	select {
	case <-p.read:
	case <-time.After(time.Second):
	}
}

// requireCleanStop ends the process and checks that nothing is left of it.
func (p *process) requireCleanStop(t *testing.T) {
	t.Helper()
	p.closeStdin(t)
	require.Zero(t, p.exitCode(t), p.out.String())
	left, err := filepath.Glob(filepath.Join(p.socketDir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// address returns the one socket for requests that the process reported.
func (p *process) address(t *testing.T) loaderproto.Socket {
	t.Helper()

	var found []loaderproto.Socket
	for _, s := range p.ready.Sockets {
		if s.Protocol.TakesRequests() {
			found = append(found, s)
		}
	}

	require.Len(t, found, 1)

	return found[0]
}

func (p *process) dial(t *testing.T) net.Conn {
	t.Helper()
	a := p.address(t).Address
	conn, err := (&net.Dialer{}).DialContext(t.Context(), a.Network, a.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))

	return conn
}

// requireProtected checks that only the owner can connect.
func (p *process) requireProtected(t *testing.T) {
	t.Helper()
	a := p.address(t).Address
	require.Equal(t, "unix", a.Network)
	require.Equal(t, p.socketDir, filepath.Dir(a.Addr))
	info, err := os.Stat(a.Addr)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.GreaterOrEqual(t, len(filepath.Base(a.Addr)), len("go.")+10)
	require.LessOrEqual(t, len(filepath.Base(a.Addr)), maxSocketName)
}

// output collects what a process prints.
type output struct{ printed.Output }

// await waits until the process has printed text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()

	timeout := time.After(deadline)
	for {
		n, changed := o.Count(text)
		if n > 0 {
			return
		}

		select {
		case <-changed:
		case <-timeout:
			require.FailNow(t, "not printed: "+text, o.String())
		}
	}
}

// python returns a Python that can import the modules.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	candidates := []string{os.Getenv("PASSENGER_TEST_PYTHON"), "python3", "/usr/bin/python3"}
	path := interpreters.Find(t, "python", candidates...)
	if len(modules) == 0 {
		return path
	}

	for _, c := range candidates {
		if c != "" && exec.CommandContext(t.Context(), c, "-c", "import "+strings.Join(modules, ",")).Run() == nil {
			return c
		}
	}

	interpreters.Missing(t, "python", "no Python that has "+strings.Join(modules, ", "))

	return ""
}

// absolute returns the path of a file of this package.
func absolute(t *testing.T, elem ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(elem...))
	require.NoError(t, err)

	return path
}
