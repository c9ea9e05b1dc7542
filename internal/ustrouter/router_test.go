package ustrouter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/internal/ustrouter"
)

// socketDir is a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ust") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	return dir
}

func request(path string) *passenger.RequestEvent {
	return &passenger.RequestEvent{
		ID:      path,
		AppName: "shop",
		Method:  "GET",
		Target:  path,
		Began:   time.Now(),
		Status:  200,
		Ended:   time.Millisecond,
	}
}

// read returns the transactions in a file, each of whose lines must be one.
func read(t *testing.T, path string) []ustrouter.Transaction {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var all []ustrouter.Transaction

	in := bufio.NewScanner(f)
	for in.Scan() {
		var one ustrouter.Transaction
		require.NoError(t, json.Unmarshal(in.Bytes(), &one), "%q", in.Text())
		all = append(all, one)
	}

	require.NoError(t, in.Err())

	return all
}

// missing adds up what records of drops say, and counts the others.
func missing(all []ustrouter.Transaction) (missing, others uint64) {
	for _, one := range all {
		if one.Kind == ustrouter.KindDropped {
			missing += one.Dropped
		} else {
			others++
		}
	}

	return missing, others
}

func TestThroughSocketAndFile(t *testing.T) {
	dir := socketDir(t)
	c := ustrouter.Config{Socket: filepath.Join(dir, "s"), File: filepath.Join(dir, "f"), IncludeQuery: true}
	sinks, err := ustrouter.Open(c, logr.Discard())
	require.NoError(t, err)
	l, err := net.Listen("unix", c.Socket)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	router := ustrouter.NewRouter(c, sinks, logr.Discard())
	served := make(chan error, 1)
	go func() { served <- router.Serve(ctx, l) }()

	o, err := ustrouter.NewObserver(c, logr.Discard())
	require.NoError(t, err)

	const events = 5000
	for range events {
		o.RequestEnded(ctx, request("/a?b=c"))
	}

	require.NoError(t, o.Close(t.Context()))
	require.Equal(t, uint64(events), o.Stats().Delivered)
	stop()
	require.NoError(t, <-served)
	require.Equal(t, uint64(events), router.Stats().Received)
	require.Equal(t, ustrouter.SinkStats{Written: events}, sinks.Stats())
	require.NoError(t, sinks.Close(t.Context()))
	all := read(t, c.File)
	require.Len(t, all, events)
	require.Equal(t, "b=c", all[events-1].Query)
	require.NoFileExists(t, c.Socket)
}

// child is a router of its own process.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	ended bool
}

func startChild(t *testing.T, c *ustrouter.Config) *child {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), routerVariable+"="+c.Socket+":"+c.File, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &child{t: t, cmd: cmd, stdin: stdin}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", line)

	return p
}

func (p *child) kill() {
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.stdin.Close()
	}
}

// halt returns when no thread of it runs.
func (p *child) halt() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(p.t, err)
	require.True(p.t, status.Stopped())
}

func (p *child) terminate() {
	p.ended = true
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, p.cmd.Wait())
}

// TestRouterKilled: the observer comes back to the next router, and what is in
// the file and what is said to be missing are all there was.
func TestRouterKilled(t *testing.T) {
	dir := socketDir(t)
	c := ustrouter.Config{Socket: filepath.Join(dir, "s"), File: filepath.Join(dir, "f"), QueueLength: 100}
	var log logged.Buffer
	o, err := ustrouter.NewObserver(c, log.Logger())
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close(t.Context()) })
	sent := uint64(0)
	send := func(n int) {
		for range n {
			o.RequestEnded(t.Context(), request("/a"))
			sent++
		}
	}
	first := startChild(t, &c)
	send(50)
	until(t, "the first router has all", func() bool { return o.Stats().Delivered == sent })
	until(t, "they are in the file", func() bool { return uint64(len(read(t, c.File))) == sent })

	// One that does not read, so that some are lost on the way.
	first.halt()
	send(20)
	until(t, "they are on their way", func() bool { return o.Stats().Waiting == 0 })
	first.kill()
	require.NoError(t, os.Remove(c.Socket))
	send(300)
	require.GreaterOrEqual(t, o.Stats().Dropped, uint64(300-c.QueueLength-1))

	second := startChild(t, &c)
	until(t, "the second router has the rest", func() bool {
		s := o.Stats()
		return s.Waiting == 0 && s.Delivered+s.Dropped == sent
	})
	require.NoError(t, o.Close(t.Context()))
	second.terminate()
	lost, others := missing(read(t, c.File))
	require.Equal(t, sent, lost+others)
	require.Equal(t, o.Stats().Dropped, lost)
	require.Contains(t, log.String(), `"dropped"=`)
}

// TestOtherUsers can neither send nor be sent to.
func TestOtherUsers(t *testing.T) {
	interpreters.Root(t, "to become other users")
	dir := socketDir(t)
	require.NoError(t, os.Chmod(dir, 0o711))
	program := filepath.Join(dir, "caller")
	self, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(self)
	require.NoError(t, err)
	require.NoError(t, boxed.WriteProgram(program, content, 0o755))

	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(socket, 0o666))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	router := ustrouter.NewRouter(ustrouter.Config{}, &ustrouter.Sinks{}, logr.Discard())
	served := make(chan error, 1)
	go func() { served <- router.Serve(ctx, l) }()

	for _, test := range []struct {
		uid     uint32
		want    string
		refused uint64
	}{{61001, "0 EOF\n", 1}, {0, "1 <nil>\n", 2}} { // root hangs up without a greeting
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), callerVariable+"="+socket, "GORACE=atexit_sleep_ms=0")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: test.uid, Gid: test.uid}}
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, test.want, string(out))
		until(t, "it is refused", func() bool { return router.Stats().Refused == test.refused })
	}

	stop()
	require.NoError(t, <-served)
}
