package scgi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/webservers"
)

// webServer is one that runs in front of a stand.
type webServer struct {
	*webservers.Server
	t      *testing.T
	client *http.Client
}

// forEachKind runs a test with each of them in front of h.
func forEachKind(t *testing.T, h http.HandlerFunc, test func(t *testing.T, w *webServer)) {
	t.Helper()
	t.Parallel() // Apache needs a second to end

	for _, k := range webservers.Kinds() {
		t.Run(k.File, func(t *testing.T) {
			t.Parallel()
			s := splitStand(t, h)
			test(t, startWebServer(t, k, s.path))
		})
	}
}

func startWebServer(t *testing.T, k webservers.Kind, socket string) *webServer {
	t.Helper()

	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(socket)} { // servers that root starts change their user
		require.NoError(t, os.Chmod(d, 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(d), 0o755))
	}

	public := filepath.Join(dir, "public")
	require.NoError(t, os.MkdirAll(filepath.Join(public, "assets"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(public, "assets", "a.txt"), []byte("an asset"), 0o644))
	site := &webservers.Site{
		Name:     "localhost",
		Root:     "/srv/test",
		Public:   public,
		Socket:   socket,
		Password: "hush",
	}

	return &webServer{
		t: t,
		client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       patience,
		},
		Server: webservers.Start(t, k, dir, func(addr string) string {
			return strings.NewReplacer(
				"PASSENGER_APP_ENV production", "PASSENGER_APP_ENV staging",
				"X-Passenger-App-Env production", "X-Passenger-App-Env staging",
			).Replace(k.Configuration(t, filepath.Join("..", "..", "docs"), addr, site))
		}),
	}
}

// do sends a request.
func (w *webServer) do(method, target string, body io.Reader, prepare ...func(*http.Request)) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.Addr+target, body)
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
	return dial(w.t, "tcp", w.Addr)
}

// waitPrinted waits until it has printed something.
func (w *webServer) waitPrinted(text string, times int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()

	for {
		n, changed := w.Output.Count(text)
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
