package hostile_test

import (
	"context"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/loaderproto"
)

const (
	// deadline bounds everything that has to happen.
	deadline = 10 * time.Second
	// maxMemory is what the server may ever have in memory, in MB.
	maxMemory = 48
)

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// variant is a way to run the server.
type variant struct {
	name     string
	protocol loaderproto.Protocol
	args     []string
	// bodies reports whether it is only another one for requests that have a body.
	bodies bool
	// secure reports whether it speaks TLS.
	secure bool
}

var (
	byHTTP    = &variant{name: "http_session", protocol: loaderproto.HTTPSession}
	bySession = &variant{name: "session", protocol: loaderproto.Session}
	// net/http serves simple requests, too.
	standard = &variant{
		name:     "http_session, standard server",
		protocol: loaderproto.HTTPSession,
		args:     []string{"--http-server", "standard"},
	}
	// Bodies go to the application as they come.
	streamed = &variant{
		name:     "http_session, streamed",
		protocol: loaderproto.HTTPSession,
		args:     []string{"--request-buffering=false"},
		bodies:   true,
	}
	streamedSession = &variant{
		name:     "session, streamed",
		protocol: loaderproto.Session,
		args:     []string{"--request-buffering=false"},
		bodies:   true,
	}
)

// concerns reports whether a request is worth sending; half means that it does not come to its end,
// and is to reach the application even so.
func (v *variant) concerns(raw string, half bool) bool {
	if half {
		return v == streamed || v == streamedSession && !strings.Contains(raw, chunked)
	}

	begin := strings.ToLower(raw[:min(len(raw), 1<<10)])

	return !v.bodies || strings.Contains(begin, "content-length") || strings.Contains(begin, "transfer-encoding")
}

// inVariants runs a test against a server for each.
func inVariants(t *testing.T, test func(t *testing.T, s *server, v *variant)) {
	t.Helper()

	for _, v := range []*variant{byHTTP, bySession, standard, streamed, streamedSession} {
		t.Run(v.name, func(t *testing.T) { test(t, start(t, v), v) })
	}
}

// server is a running binary whose application the test plays.
type server struct {
	*stage
	boxed.Program
	addr string
	// tls is for clients; nil means that the server does not speak it.
	tls *tls.Config
	// ids counts the requests that carry one.
	ids atomic.Int64
}

// start starts a server. When the test ends it has to have survived, to end in
// order, and to leave nothing behind.
func start(t *testing.T, v *variant) *server {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	box := boxed.New(t, workDir)
	leakgate.Check(t, leakgate.Marker(box.Marker), leakgate.Dir(box.Tmp))

	dir := box.Dir
	s := &server{stage: newStage(t, filepath.Join(dir, "control"), v.protocol)}
	app, err := os.Executable()
	require.NoError(t, err)
	args := append([]string{
		"start", dir, "--address", "127.0.0.1", "--port", "0", "--max-pool-size", "1", "--start-command", app,
		"--envvar", appVar + "=" + string(v.protocol), "--envvar", controlVar + "=" + filepath.Join(dir, "control"),
		"--envvar", box.Marker, "--envvar", "GORACE=atexit_sleep_ms=0", "--environment", "production",
	}, v.args...)
	if v.secure {
		args = append(args, certificate(t, dir)...)
		s.tls = clientTLS()
	}

	s.Cmd = exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	s.Cmd.Dir, s.Cmd.Env = dir, box.Env()
	s.Start(t, func() { s.stop(t) })
	_, s.addr, _ = strings.Cut(s.Address(t), "://")
	require.NoError(t, s.followUp(1))
	s.requireNoMoreFDs(t)

	return s
}

// certificate makes the files of one, and returns the arguments for a server that has it.
func certificate(t *testing.T, dir string) []string {
	t.Helper()
	cert, key := filepath.Join(dir, "ssl-certificate.pem"), filepath.Join(dir, "ssl-certificate-key.pem")
	boxed.Certificate(t, cert, key, "hostile")

	return []string{"--ssl", "--ssl-certificate", cert, "--ssl-certificate-key", key}
}

// stop ends the server in order, and looks at what it has logged.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.Stop(t)
	require.NotContains(t, s.Stderr.String(), "goroutine ")
	require.NotContains(t, s.Stderr.String(), s.password, "the password is in the log")
	require.False(t, strings.ContainsFunc(s.Stderr.String(), func(c rune) bool {
		return c < ' ' && c != '\n' ||
			c == 0x7f
	}), "control characters in the log")
}

// requireNoMoreFDs makes the test fail if the server has more files open at its
// end, the most recent connections aside.
func (s *server) requireNoMoreFDs(t *testing.T) {
	t.Helper()
	before := len(s.fds(t))
	t.Cleanup(func() {
		status, err := os.ReadFile(s.proc("status"))
		require.NoError(t, err, "the server has ended")
		used := peak.FindSubmatch(status)
		require.NotNil(t, used)
		kB, err := strconv.Atoi(string(used[1]))
		require.NoError(t, err)
		require.Less(t, kB>>10, maxMemory)
		require.Eventually(t, func() bool { return len(s.fds(t)) <= before+2 }, deadline, 10*time.Millisecond,
			"%d files were open: %v", before, s.fds(t))
	})
}

// fds are the files that the server has open. Pipes are not counted: the runtime
// keeps some that it has used to move bytes.
func (s *server) fds(t *testing.T) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(s.proc("fd"))
	require.NoError(t, err)

	for _, e := range entries {
		file, _ := os.Readlink(filepath.Join(s.proc("fd"), e.Name())) // empty if it has just gone
		if !strings.HasPrefix(file, "pipe:") {
			files = append(files, file)
		}
	}

	return files
}

func (s *server) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.Cmd.Process.Pid), file)
}
