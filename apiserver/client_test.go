package apiserver_test

import (
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

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

func TestClient(t *testing.T) {
	h := newHouse(t).tenants().onUnix()
	c := &apiserver.Client{Socket: h.socket}
	s, err := c.Pool(t.Context())
	require.NoError(t, err)
	require.Len(t, s.Groups, 4)
	require.Equal(t, "/apps/blog", s.Groups[0].AppRoot)

	done, err := c.Restart(t.Context(), "shop", apiserver.RestartOptions{Method: "rolling", Wait: true})
	require.NoError(t, err)
	require.True(t, done)
	require.EqualValues(t, 1, h.group("shop").Generation)
	done, err = c.Restart(t.Context(), "none", apiserver.RestartOptions{})
	require.NoError(t, err)
	require.False(t, done)
	done, err = c.DetachProcess(t.Context(), h.group("blog").Processes[0].PID)
	require.NoError(t, err)
	require.True(t, done)
	done, err = c.DetachProcess(t.Context(), 1)
	require.NoError(t, err)
	require.False(t, done)

	body, err := c.Get(t.Context(), "/pool.txt?verbose=true")
	require.NoError(t, err)
	require.Contains(t, string(body), "Max pool size : 20")
	_, err = c.Put(t.Context(), "/config.json", map[string]int{"log_level": 5})
	require.NoError(t, err)
	_, err = c.Post(t.Context(), "/reopen_logs.json", nil)
	require.NoError(t, err)
	_, err = c.Call(t.Context(), http.MethodDelete, "/server/1-2.json", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"log_level 5", "logs", "disconnect 1-2"}, h.noted())
	a, err := c.Do(t.Context(), http.MethodGet, "/none", nil)
	require.NoError(t, err, "a status is none to Do")
	require.Equal(t, http.StatusNotFound, a.Status)
}

func TestClientErrors(t *testing.T) {
	full := func() error { return errors.New("full\x1b[2J\nroot") }
	h := newHouse(t, func(c *apiserver.Config) { c.ReopenLogs = full }).tenants().onUnix()
	c := &apiserver.Client{Socket: h.socket}
	_, err := c.Post(t.Context(), "/reopen_logs.json", nil)
	var status *apiserver.StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, []any{500, "LOG_FILE_OPEN_ERROR", "full\x1b[2J\nroot"},
		[]any{status.Status, status.Code, status.Message})
	require.Equal(t, "the admin API responded to POST /reopen_logs.json with status 500: full [2J root "+
		"(LOG_FILE_OPEN_ERROR)", err.Error())
	_, err = c.Restart(t.Context(), "shop", apiserver.RestartOptions{Method: "gentle"})
	require.ErrorAs(t, err, &status)
	require.Equal(t, 400, status.Status)

	_, err = (&apiserver.Client{Socket: h.socket, MaxResponse: 10}).Get(t.Context(), "/pool.txt")
	require.ErrorContains(t, err, "more than 10 bytes")
	_, err = (&apiserver.Client{Socket: h.socket, MaxResponse: 15}).Get(t.Context(), "/ping.json")
	require.ErrorContains(t, err, "more than 15 bytes")
	_, err = (&apiserver.Client{Socket: h.socket, MaxResponse: 16}).Get(t.Context(), "/ping.json")
	require.NoError(t, err)

	for _, path := range []string{"", "pool.txt", "http://evil/pool.txt", "/%zz", "*", "/a b"} {
		_, err = c.Get(t.Context(), path)
		require.Error(t, err, path)
	}

	_, err = c.Call(t.Context(), "G T", "/ping.json", nil)
	require.ErrorContains(t, err, "invalid method")
	_, err = c.Post(t.Context(), "/gc.json", func() {})
	require.ErrorContains(t, err, "cannot send this")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Get(ended, "/ping.json")
	require.ErrorIs(t, err, context.Canceled)
	_, err = (&apiserver.Client{Socket: h.socket + ".none"}).Get(t.Context(), "/ping.json")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, h.socket)
}

// constantServer is a server that says the same to every client.
func constantServer(t *testing.T, text string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "api") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)

		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}

			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		require.NoError(t, os.RemoveAll(dir))
	})

	return socket
}

func TestClientOfAStrangeServer(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	for text, says := range map[string]string{
		"":                        "cannot call",
		ok:                        "something else",
		ok + "[]":                 "something else",
		ok + "{}":                 "does not say",
		ok + `{"detached":"yes"}`: "does not say",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{":                           "breaks off",
		"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n": "status 302: Found",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 100<<10) + "\r\n\r\n":        "cannot call",
		"HTTP/1.1 401 No\r\nPool-Empty: true\r\nContent-Length: 0\r\n\r\n":          "serves no applications",
		"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n":                              "not authorized",
	} {
		c := &apiserver.Client{Socket: constantServer(t, text)}
		_, err := c.DetachProcess(t.Context(), 1)
		require.ErrorContains(t, err, says, "%.60q", text)
	}

	c := &apiserver.Client{Socket: constantServer(t, ok+"nothing")}
	_, err := c.Pool(t.Context())
	require.ErrorContains(t, err, "something else than a pool")
}

func TestClientIsToldOfAnEmptyPool(t *testing.T) {
	h := newHouse(t).onUnix()
	a := becomes(t, carol).call(request{
		Network: "unix",
		Address: h.socket,
		Method:  "CLIENT",
		Path:    "/pool.txt",
	})
	require.Equal(t, http.StatusUnauthorized, a.Status)
	require.Contains(t, a.Body, "serves no applications")
	h.start(app("shop", "shop", alice))
	a = becomes(t, carol).call(request{
		Network: "unix",
		Address: h.socket,
		Method:  "CLIENT",
		Path:    "/pool.txt",
	})
	require.Contains(t, a.Body, "not authorized by the admin API")
	a = becomes(t, carol).call(request{
		Network:  "unix",
		Address:  h.socket,
		Method:   "CLIENT",
		Path:     "/pool.txt",
		Name:     "api",
		Password: h.group("shop").APIKey,
	})

	require.Equal(t, http.StatusOK, a.Status)
	require.Contains(t, a.Body, "/apps/shop")
}

// TestClientSendsNoPasswordToServerOfAnotherUser: another user listens where the server did.
// Faults: R-19.
func TestClientSendsNoPasswordToServerOfAnotherUser(t *testing.T) {
	interpreters.Root(t, "to become other users")
	dir, err := os.MkdirTemp("", "api") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chmod(dir, 0o777))
	socket := filepath.Join(dir, "s")
	impostor := becomes(t, carol)

	// It lets one connection come, and says what was sent.
	impostor.begin(request{Network: "unix", Address: socket, Method: "LISTEN"})
	require.Equal(t, http.StatusContinue, impostor.result().Status)
	c := &apiserver.Client{Socket: socket, Name: "admin", Password: fullPassword}
	_, err = c.Get(t.Context(), "/pool.txt")
	var untrusted *apiserver.UntrustedServerError
	require.ErrorAs(t, err, &untrusted)
	require.Equal(t, carol, untrusted.UID)
	require.NotContains(t, err.Error(), fullPassword)
	require.Empty(t, impostor.result().Body, "nothing was sent")

	// A directory of carol's is carol's.
	require.NoError(t, os.Chown(dir, carol, carol))
	impostor.begin(request{Network: "unix", Address: socket, Method: "LISTEN"})
	require.Equal(t, http.StatusContinue, impostor.result().Status)
	_, err = c.Get(t.Context(), "/pool.txt")
	require.Error(t, err, "it does not respond")
	require.Contains(t, impostor.result().Body, "Authorization: Basic")
}
