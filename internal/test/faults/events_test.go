//go:build linux

package faults_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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
)

// Each event is sent only when the one before has arrived.
func requireEvents(t testing.TB, s *server, c *client, target string) {
	t.Helper()
	direct := s.client(t)
	fds := s.countFDs(t)
	left := len(s.lines("left by events."))
	resp, err := c.Do(c.request(t.Context(), t, http.MethodGet, target, nil))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))

	lines := bufio.NewReader(resp.Body)
	for n := 1; n <= 20; n++ {
		direct.requireOK(t, "/next")

		for _, want := range []string{fmt.Sprintf("id: %d\n", n), "data: " + strings.Repeat("y", n) + "\n", "\n"} {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want, line)
		}
	}

	// The application hears of a client that leaves.
	require.NoError(t, resp.Body.Close())
	c.CloseIdleConnections()
	s.Await(t, "left by events.", left+1)
	direct.CloseIdleConnections()
	s.requireNoMoreFDs(t, fds)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	s.client(t).requireOK(t, "/pid")
	requireEvents(t, s, s.client(t), "/events")
	requireEvents(t, s, s.client(t, http2), "/events")
}

func TestEventsThroughReverseProxy(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	s.client(t).requireOK(t, "/pid")
	target, err := url.Parse("http://" + s.addr)
	require.NoError(t, err)
	transport := &http.Transport{}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, FlushInterval: -1,
	})
	t.Cleanup(proxy.Close)
	t.Cleanup(transport.CloseIdleConnections)
	c := s.client(t)
	c.base = proxy.URL
	requireEvents(t, s, c, "/events")
}

const nginxConfig = `
worker_processes 1;
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen unix:DIR/nginx.sock;
		location / {
			proxy_pass http://ADDRESS;
			proxy_http_version 1.1;
		}
		location /unbuffered/ {
			proxy_pass http://ADDRESS/;
			proxy_http_version 1.1;
			proxy_buffering off;
		}
	}
}
`

func TestEventsThroughNginx(t *testing.T) {
	t.Parallel()
	binary := interpreters.Find(t, "nginx", "nginx", "/usr/sbin/nginx")
	s := start(t, unlimited...)
	s.client(t).requireOK(t, "/pid")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config,
		[]byte(strings.NewReplacer("ADDRESS", s.addr, "DIR", dir).Replace(nginxConfig)), 0o600))
	nginx := exec.Command(binary, "-p", dir, "-c", config, "-e", "stderr")
	var log printed.Output
	nginx.Stdout, nginx.Stderr = &log, &log
	require.NoError(t, nginx.Start())
	t.Cleanup(func() {
		_ = nginx.Process.Signal(syscall.SIGTERM) // if it is still there
		if err := nginx.Wait(); err != nil || t.Failed() {
			t.Errorf("nginx ended: %v\n%s", err, &log)
		}
	})
	path := filepath.Join(dir, "nginx.sock")
	eventually(t, func() error {
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			err = conn.Close()
		}

		return err
	})
	c := s.client(t, func(tr *http.Transport) { tr.DialContext = dialUnix(path) })
	requireEvents(t, s, c, "/unbuffered/events")
	requireEvents(t, s, c, "/events?no") // what is for X-Accel-Buffering
}
