package tools_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// shown is a dashboard that a command serves, and the browser that has opened it.
type shown struct {
	cmd     *exec.Cmd
	rest    *bufio.Reader
	page    string
	browser *http.Client
}

// showDashboard starts the command and opens the address that it prints. The command ends with the test.
func showDashboard(t *testing.T, cmd *exec.Cmd) *shown {
	t.Helper()
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s := &shown{
		cmd:     cmd,
		rest:    bufio.NewReader(stdout),
		browser: &http.Client{Jar: jar, Transport: &http.Transport{}, Timeout: deadline},
	}

	t.Cleanup(func() {
		s.browser.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		_, _ = io.Copy(io.Discard, s.rest)
		_ = cmd.Wait() // the tests of its status have waited
	})

	for s.page == "" {
		line, err := s.rest.ReadString('\n')
		require.NoError(t, err)

		if address, ok := strings.CutPrefix(line, "  http://"); ok {
			s.page = "http://" + strings.TrimSpace(address)
		}
	}

	require.Equal(t, http.StatusOK, s.ask(t, http.MethodGet, "", "").StatusCode)
	s.page, _, _ = strings.Cut(s.page, "?")

	return s
}

// ask asks for a path below the page. The body of the response is closed.
func (s *shown) ask(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.page+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.browser.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	return resp
}

// whole returns the first event.
func (s *shown) whole(t *testing.T, query string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.page+"/events"+query, nil)
	require.NoError(t, err)
	resp, err := s.browser.Do(r)
	require.NoError(t, err)

	defer resp.Body.Close()

	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)

		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return data
		}
	}
}

func (b *box) commandAs(ctx context.Context, uid int, program string, args ...string) *exec.Cmd {
	cmd := b.command(ctx, program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}

	return cmd
}

func TestDashboardEndsWithItsInstance(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	d := showDashboard(t, s.command(context.WithoutCancel(t.Context()), "passenger", "dashboard"))
	require.Contains(t, d.whole(t, ""), s.name)
	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))

	rest, err := io.ReadAll(d.rest)
	require.NoError(t, err)
	require.Contains(t, string(rest), " has ended.\n")
	require.NoError(t, d.cmd.Wait())
}

func TestDashboardEndsByCtrlC(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.open(t)
	d := showDashboard(t, b.command(context.WithoutCancel(t.Context()), "passenger", "dashboard"))
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(d.rest)
	require.NoError(t, err)
	require.Equal(t, "\nPress Ctrl-C to end it.\n", string(rest))
	require.NoError(t, d.cmd.Wait())
}

func TestDashboardWithoutInstanceOrPort(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	r := b.run(t, "passenger", "dashboard")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "ERROR: Passenger doesn't seem to be running.")

	b.open(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	r = b.run(t, "passenger", "dashboard", "--port", port)
	require.Equal(t, 1, r.status)
	require.Regexp(t,
		`^ERROR: cannot serve the page: .*address already in use\. Choose another port with --port\.\n$`, r.stderr)
}

func TestDashboardOfATenantShowsOnlyTheirs(t *testing.T) {
	t.Parallel()
	needRoot(t)
	h := newBox(t).open(t, app("shop", alice), app("blog", bob))
	ctx := context.WithoutCancel(t.Context())

	d := showDashboard(t, h.commandAs(ctx, alice, "passenger", "dashboard"))
	list := d.whole(t, "")
	require.Contains(t, list, `"name":"shop"`)
	require.NotContains(t, list, "blog")
	require.Contains(t, d.whole(t, "?app=blog"), `"app":null`)
	require.Equal(t, http.StatusForbidden, d.ask(t, http.MethodPost, "/restart", `{"name":"shop"}`).StatusCode)

	root := showDashboard(t, h.command(ctx, "passenger", "dashboard"))
	require.Contains(t, root.whole(t, ""), `"name":"blog"`)
	require.Equal(t, http.StatusOK, root.ask(t, http.MethodPost, "/restart", `{"name":"shop"}`).StatusCode)
	require.Equal(t, uint32(1), h.pool.Inspect().Group("shop").Generation)
	require.Equal(t, http.StatusNotFound, root.ask(t, http.MethodPost, "/detach", `{"pid":1}`).StatusCode)

	// Another user of the machine does not get in with what it may guess of the address.
	resp, err := http.Get(root.page)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

func TestDashboardOnTheAddressOfMetrics(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	address := free.Addr().String()
	require.NoError(t, free.Close())

	b := newBox(t)
	file := filepath.Join(b.registry, "password")
	s := b.start(t, "--metrics-address", address, "--dashboard", "--dashboard-password-file", file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	readOnly, err := s.instance(t).ReadOnlyPassword()
	require.NoError(t, err)

	ask := func(method, path, name, password string) int {
		body := strings.NewReader(`{"name":"` + s.name + `"}`)
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")

		if name != "" {
			r.SetBasicAuth(name, password)
		}

		resp, err := s.client.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())

		return resp.StatusCode
	}
	get, post := http.MethodGet, http.MethodPost
	password := strings.TrimSpace(string(text))
	require.Equal(t, 401, ask(get, "/dashboard", "", ""), "with a password, loopback is not open")
	require.Equal(t, 401, ask(get, "/dashboard", "dashboard", password+"x"))
	require.Equal(t, 200, ask(get, "/dashboard", "dashboard", password))
	require.Equal(t, 200, ask(get, "/dashboard/app", instancedir.ReadOnlyAccount, readOnly))
	require.Equal(t, 401, ask(post, "/dashboard/restart", instancedir.ReadOnlyAccount, readOnly))
	require.Equal(t, 200, ask(get, "/livez", "", ""))
	require.Equal(t, 200, ask(get, "/metrics", "", ""))

	before := s.get(t)
	require.Equal(t, 200, ask(post, "/dashboard/restart", "dashboard", password))
	eventually(t, func() error {
		if s.get(t) == before {
			return errors.New("the old process serves")
		}

		return nil
	})
}
