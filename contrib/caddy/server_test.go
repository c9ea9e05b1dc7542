package passengercaddy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is for what hangs.
const patience = 30 * time.Second

// programs are Caddy and the application, which TestMain builds once.
var programs struct{ caddy, app string }

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "passengercaddy")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	programs.caddy, programs.app = filepath.Join(dir, "testcaddy"), filepath.Join(dir, "testapp")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", dir, "./internal/testcaddy",
		"./internal/testapp").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s\n%v\n", out, err)
		return 1
	}

	return m.Run()
}

// server is a Caddy that runs.
type server struct {
	t     testing.TB
	cmd   *exec.Cmd
	dir   string
	ended chan error
	log   lockedBuffer
	// ports are free ones for sites.
	ports [2]int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// global is what all Caddyfiles of the tests begin with.
func (s *server) global(more string) string {
	return fmt.Sprintf("{\n admin unix/%s\n auto_https off\n persist_config off\n %s\n}\n",
		filepath.Join(s.dir, "admin.sock"), more)
}

// site is one on the port with this index.
func (s *server) site(port int, directives string) string {
	return fmt.Sprintf("http://127.0.0.1:%d {\n bind 127.0.0.1\n %s\n}\n", s.ports[port], directives)
}

// app is the directive for the application.
func app(options string) string {
	return fmt.Sprintf("passenger %s {\n name app\n command %s\n env SEEN {env.HOME}/seen\n %s\n}\n",
		filepath.Dir(programs.app), programs.app, options)
}

// start starts Caddy with what config returns, and returns when it serves.
func start(t testing.TB, config func(*server) string) *server {
	t.Helper()

	s := &server{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	for i := range s.ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s.ports[i] = int(netip.MustParseAddrPort(l.Addr().String()).Port())
		require.NoError(t, l.Close())
	}

	caddyfile := filepath.Join(s.dir, "Caddyfile")
	require.NoError(t, os.WriteFile(caddyfile, []byte(config(s)), 0o600))

	// Caddy calls back when it serves.
	called, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer called.Close()
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), programs.caddy, "run", "--config", caddyfile,
		"--adapter", "caddyfile",
		"--pingback", called.Addr().String())
	s.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "HOME="+s.dir, "OF_CADDY=yes")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = strings.NewReader("serving"), &s.log, &s.log
	require.NoError(t, s.cmd.Start())
	ended := s.ended
	go func() {
		ended <- s.cmd.Wait()
		_ = called.Close()
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	conn, err := called.Accept()
	require.NoError(t, err, "Caddy has ended: %s", &s.log)
	require.NoError(t, conn.Close())

	return s
}

// stop ends Caddy, which must end in order.
func (s *server) stop() {
	s.t.Helper()
	if s.ended == nil {
		return
	}

	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.waitEnd()
}

func (s *server) waitEnd() {
	s.t.Helper()
	ended := s.ended

	s.ended = nil
	select {
	case err := <-ended:
		require.NoError(s.t, err)
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		require.NoError(s.t, <-ended, "Caddy does not end")
	}
}

func (s *server) url(port int, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.ports[port], path)
}

// client returns one for the test.
func client(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{ExpectContinueTimeout: patience}
	t.Cleanup(transport.CloseIdleConnections)

	return &http.Client{Transport: transport, Timeout: patience}
}

// received is what the application says it got.
type received struct {
	PID             int
	Target, Host    string
	Header          http.Header
	Length          int
	Setting         string
	Env             map[string]string
	ResponseHeaders http.Header `json:"-"`
}

// ask returns what the application got of a request.
func (s *server) ask(r *http.Request) received {
	s.t.Helper()

	got, err := s.try(r)
	for reset(err) && r.Body == http.NoBody {
		got, err = s.try(r)
	}

	require.NoError(s.t, err)

	return got
}

// reset reports whether no byte of a response came: a reload of Caddy's closes its old
// listener, and connections that have not said anything yet, whatever handler is behind
// them (respond has the same). Clients try again.
func reset(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

func (s *server) try(r *http.Request) (got received, err error) {
	resp, err := client(s.t).Do(r)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()

	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return got, fmt.Errorf("the response was cut: %s", err.Error())
	case resp.StatusCode != http.StatusOK:
		return got, fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}

	got.ResponseHeaders = resp.Header

	return got, json.Unmarshal(body, &got)
}

func (s *server) request(method string, port int, path string, body io.Reader) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url(port, path), body)
	require.NoError(s.t, err)

	return r
}

func (s *server) get(port int, path string) received {
	s.t.Helper()
	return s.ask(s.request(http.MethodGet, port, path, http.NoBody))
}

// admin asks the admin API.
func (s *server) admin(method, path, kind, body string) (int, string) {
	s.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "admin.sock"))
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	r.Header.Set("Content-Type", kind)
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)

	return resp.StatusCode, string(got)
}

// reload loads a Caddyfile, and returns what Caddy says of one that it refuses.
func (s *server) reload(config string) string {
	s.t.Helper()
	status, said := s.admin(http.MethodPost, "/load", "text/caddyfile", config)
	if status != http.StatusOK {
		return said
	}

	return ""
}

// waitGone waits until a process has ended.
func waitGone(t testing.TB, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, patience, 20*time.Millisecond,
		"process %d lives", pid)
}
