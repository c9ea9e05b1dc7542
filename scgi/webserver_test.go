package scgi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/interpreters"
	"github.com/gopassenger/passenger/internal/printed"
)

// kind is a web server with one of the configurations of docs/webservers.
type kind struct {
	file   string
	scgi   bool
	apache bool
}

var kinds = []kind{
	{"nginx-scgi.conf", true, false},
	{"nginx-proxy.conf", false, false},
	{"apache-scgi.conf", true, true},
	{"apache-proxy.conf", false, true},
}

// forEachKind runs a test with each of them in front of h.
func forEachKind(t *testing.T, h http.HandlerFunc, test func(t *testing.T, w *webServer)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.file, func(t *testing.T) {
			name := "nginx"
			if k.apache {
				name = "apache"
			}
			path := interpreters.Find(t, name, map[bool][]string{
				false: {"nginx", "/usr/sbin/nginx"}, true: {"apache2", "httpd", "/usr/sbin/apache2"},
			}[k.apache]...)
			s := splitStand(t, h)
			test(t, startWebServer(t, k, path, s.path))
		})
	}
}

// webServer is one that runs.
type webServer struct {
	kind
	t      *testing.T
	addr   string
	client *http.Client
	cmd    *exec.Cmd
	output printed.Output
	exited chan struct{}
}

// startWebServer tries again if somebody else has taken the port.
func startWebServer(t *testing.T, k kind, path, socket string) *webServer {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(socket)} { // servers that root starts change their user
		require.NoError(t, os.Chmod(d, 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(d), 0o755))
	}
	for range 5 {
		if w := tryWebServer(t, k, path, dir, socket); w != nil {
			return w
		}
	}
	require.FailNow(t, "no port is free")
	return nil
}

func tryWebServer(t *testing.T, k kind, path, dir, socket string) *webServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &webServer{kind: k, t: t, addr: l.Addr().String(), exited: make(chan struct{})}
	require.NoError(t, l.Close())
	w.client = &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	public := filepath.Join(dir, "public")
	require.NoError(t, os.MkdirAll(filepath.Join(public, "assets"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(public, "assets", "a.txt"), []byte("an asset"), 0o644))
	site := w.site(dir, public, socket)
	args := []string{"-p", dir, "-c", w.nginxConf(dir, site)}
	if k.apache {
		args = []string{"-f", w.apacheConf(dir, site), "-DFOREGROUND"}
	}
	w.cmd = exec.Command(path, args...)
	w.cmd.Stdout, w.cmd.Stderr = &w.output, &w.output
	w.cmd.WaitDelay = patience // a child of Apache's may outlive it for a moment, with its output
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.exited)
		_ = w.cmd.Wait() // its output says more
	}()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case <-w.exited:
			tick.Stop()
			require.Contains(t, strings.ToLower(w.output.String()), "address already in use")
			return nil
		case <-tick.C:
			c, err := net.Dial("tcp", w.addr)
			if err != nil {
				continue
			}
			tick.Stop()
			_ = c.Close()
			t.Cleanup(w.stop)
			return w
		}
	}
}

// stop ends it, and shows what it has printed if the test has failed.
func (w *webServer) stop() {
	signal := syscall.SIGQUIT // to nginx: when all requests have been answered
	if w.apache {
		signal = syscall.SIGWINCH // the same
	}
	if w.t.Failed() {
		signal = syscall.SIGTERM
	}
	// Until it has begun to look for signals, Apache misses this one.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for end, ended := time.After(patience), false; !ended; {
		_ = w.cmd.Process.Signal(signal)
		select {
		case <-w.exited:
			ended = true
		case <-again.C:
		case <-end:
			_ = w.cmd.Process.Kill()
			<-w.exited
			w.t.Error("the web server does not end")
			ended = true
		}
	}
	if w.t.Failed() {
		w.t.Logf("the web server: %s", w.output.String())
	}
}

// site is the configuration for users, with what they are told to change changed.
func (w *webServer) site(dir, public, socket string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "webservers", w.file))
	require.NoError(w.t, err)
	text := string(b)
	for from, to := range map[string]string{
		"listen 80;":                       "listen " + w.addr + ";",
		"<VirtualHost *:80>":               "Listen " + w.addr + "\n<VirtualHost " + w.addr + ">",
		"/run/passenger/passenger.sock":    socket,
		"DocumentRoot /srv/shop/public":    "DocumentRoot " + public,
		"<Directory /srv/shop/public>":     "<Directory " + public + ">",
		"root /srv/shop/public;":           "root " + public + ";",
		`PASSENGER_PASSWORD "change-me"`:   `PASSENGER_PASSWORD "hush"`,
		`X-Passenger-Password "change-me"`: `X-Passenger-Password "hush"`,
		"server_name shop.example.com;":    "server_name localhost;",
		"ServerName shop.example.com":      "ServerName localhost",
		"PASSENGER_APP_ENV production":     "PASSENGER_APP_ENV staging",
		"X-Passenger-App-Env production":   "X-Passenger-App-Env staging",
		"PASSENGER_APP_ROOT /srv/shop":     "PASSENGER_APP_ROOT /srv/test",
		"X-Passenger-App-Root /srv/shop":   "X-Passenger-App-Root /srv/test",
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	for _, left := range []string{"/srv/shop", "/run/", "shop.example.com", "change-me", ":80>"} {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(strings.TrimSpace(line), "#") {
				require.NotContains(w.t, line, left)
			}
		}
	}
	return w.write(dir, "site.conf", text)
}

func (w *webServer) write(dir, name, text string) string {
	w.t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func (w *webServer) nginxConf(dir, site string) string {
	w.t.Helper()
	var temp strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", what, dir, what)
	}
	return w.write(dir, "nginx.conf", fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr info; worker_processes 1; worker_shutdown_timeout 10s;
events {}
http {
access_log off; default_type application/octet-stream; large_client_header_buffers 4 32k;
%[2]s
include %[3]s;
}
`, dir, temp.String(), site))
}

func (w *webServer) apacheConf(dir, site string) string {
	w.t.Helper()
	modules := ""
	for _, d := range []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"} {
		if _, err := os.Stat(d); err == nil {
			modules = d
		}
	}
	if modules == "" {
		interpreters.Missing(w.t, "apache", "no modules of Apache are known")
	}
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_scgi", "proxy_http", "headers", "env", "unixd"} {
		file := filepath.Join(modules, "mod_"+m+".so")
		if _, err := os.Stat(file); err == nil { // else it is built in
			fmt.Fprintf(&load, "LoadModule %s_module %s\n", m, file)
		}
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "User nobody\nGroup #65534\n"
	}
	return w.write(dir, "apache.conf", fmt.Sprintf(`ServerRoot %[1]s
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
LogLevel warn
LimitRequestFieldSize 32000
GracefulShutdownTimeout 10
%[2]s%[3]sServerName localhost
<IfModule mpm_event_module>
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
MinSpareThreads 1
MaxSpareThreads 32
</IfModule>
Include %[4]s
`, dir, load.String(), user, site))
}

// reload makes it start again without closing its socket.
func (w *webServer) reload() {
	w.t.Helper()
	signal := syscall.SIGHUP
	if w.apache {
		signal = syscall.SIGUSR1
	}
	require.NoError(w.t, w.cmd.Process.Signal(signal))
}

// do sends a request.
func (w *webServer) do(method, target string, body io.Reader, prepare ...func(*http.Request)) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.addr+target, body)
	require.NoError(w.t, err)
	for _, p := range prepare {
		p(r)
	}
	resp, err := w.client.Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// raw sends a request as it is written.
func (w *webServer) raw(text string) *http.Response {
	w.t.Helper()
	c := w.dial()
	_, err := io.WriteString(c, text)
	require.NoError(w.t, err)
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// dial connects to it.
func (w *webServer) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	require.NoError(w.t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// waitPrinted waits until it has printed something.
func (w *webServer) waitPrinted(text string, times int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		n, changed := w.output.Count(text)
		if n >= times {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			require.NoError(w.t, errors.New("it has not printed "+text))
		}
	}
}
