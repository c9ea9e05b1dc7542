package e2e_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// Two applications at two hosts, with all that goes through.
func TestFlyingBehindWebServers(t *testing.T) {
	t.Parallel()
	forEachFront(t, func(t *testing.T, f *flying, w *webServer, tenants []*tenant) {
		a, b := tenants[0], tenants[1]
		evil := []string{
			"X-Passenger-User", "root", "X-Passenger-App-Root", b.root, "X-Passenger-Options", "User, App-Root",
			"X-Passenger-Password", "x",
			"X-Passenger-Group", "root", "X-Passenger-App-Group-Name", b.root + " (production)", "X-Passenger-Env-Vars",
			`{"A":"B"}`,
			"PASSENGER_USER", "root", "Passenger-User", "root",
		}
		first := readTenant(t, w.client(a).get(t, "/x%2Fy?z=1%202", evil...))
		require.Equal(t, "go", first.Name)
		require.Equal(t, "/x%2Fy?z=1%202", first.Target)
		require.Equal(t, "go.test", first.Host)
		second := readTenant(t, w.client(b).get(t, "/b", evil...))
		require.Equal(t, "python", second.Name)
		require.Equal(t, "python.test", second.Host)
		if os.Geteuid() == 0 {
			require.Equal(t, daemonUID, first.UID)
			require.Equal(t, binUID, second.UID)
		}

		for name := range first.Header {
			if name != "Passenger-User" { // an ordinary header of the client's
				require.NotContains(t, name, "Passenger-", "%v", first.Header)
			}
		}

		require.NotContains(t, first.Env, "A")
		require.Equal(t, "go", first.Env[tenantVar], "what is set for the application is there for each request")
		require.Contains(t, first.Header.Get("X-Forwarded-For"), "127.0.0.1")
		require.Equal(t, "an asset of go", w.client(a).get(t, "/assets/a.txt").body)
		require.Len(t, f.groups(t), 2)

		t.Run("upload", func(t *testing.T) {
			body := make([]byte, 10*megabyte)
			_, _ = rand.Read(body) // never fails
			e := readTenant(t, w.client(a).ask(t, http.MethodPost, "/upload", strings.NewReader(string(body))))
			require.Equal(t, int64(len(body)), e.Length)
			require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(body)), e.Sum)
		})
		t.Run("events", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp, err := w.client(a).Do(w.client(a).request(t, http.MethodGet, "/events", nil).WithContext(ctx))
			require.NoError(t, err)
			defer resp.Body.Close()
			line, err := bufio.NewReader(resp.Body).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "data: first\n", line)
		})
		t.Run("WebSocket", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			client := w.client(a)
			client.Timeout = 0
			conn, resp, err := websocket.Dial(ctx, "ws://go.test/cable",
				&websocket.DialOptions{HTTPClient: client.Client})
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)

			// Socket.IO's path ends in a slash.
			for _, target := range []string{"/cable/", "/cable/index.php", "/cable/a%2Fb?c=%2F", "/cable/.x"} {
				below, resp, err := websocket.Dial(ctx, "ws://go.test"+target,
					&websocket.DialOptions{HTTPClient: client.Client})
				require.NoError(t, err, target)
				require.Equal(t, target, resp.Header.Get("X-Target"))
				require.NoError(t, below.Close(websocket.StatusNormalClosure, ""))
			}

			for _, text := range []string{"hello", strings.Repeat("x", 30000)} {
				require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(text)))
				_, data, err := conn.Read(ctx)
				require.NoError(t, err)
				require.Equal(t, text, string(data))
			}

			require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
		})
		require.Equal(t, first.PID, readTenant(t, w.client(a).get(t, "/")).PID)
		require.Len(t, f.groups(t), 2, "by SCGI and by HTTP it is the same application")
	})
}

// Applications do not see that the web server was restarted.
func TestFlyingSurvivesWebServers(t *testing.T) {
	t.Parallel()
	forEachFront(t, func(t *testing.T, f *flying, w *webServer, tenants []*tenant) {
		pids := func() []int {
			list := make([]int, len(tenants))
			for i, a := range tenants {
				eventually(t, func() (err error) {
					list[i], err = w.pid(a)
					return err
				})
			}

			return list
		}

		before := pids()
		for range 3 {
			w.Reload()
			require.Equal(t, before, pids())
		}

		w.Stop()
		require.ElementsMatch(t, before, f.apps(t))
		require.True(t, w.Run())
		require.Equal(t, before, pids())
	})
}

// The core is killed while clients ask by the web server: its connections are not
// refused, and what was not under way is served.
func TestFlyingCoreIsKilledBehindWebServers(t *testing.T) {
	t.Parallel()
	forEachFront(t, func(t *testing.T, f *flying, w *webServer, tenants []*tenant) {
		const kills, clients = 3, 4
		a := tenants[0]
		_, err := w.pid(a)
		require.NoError(t, err)

		l := f.load(t, clients, func(context.Context, *client) error {
			status, err := w.pid(a) //nolint:contextcheck // what has begun gets a response

			// Apache sends 500 for a broken response by SCGI.
			if err != nil && status < http.StatusInternalServerError && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a client was not served: %v", err)
			}

			return err
		})
		for range kills {
			l.killCore(t, f.server, 20*clients)
		}

		l.Stop()
		require.LessOrEqual(t, l.Lost.Load(), int64(kills*clients))
		require.NotContains(t, strings.ToLower(w.Output.String()), "refused")
		require.NotContains(t, w.Output.String(), "No such file")
	})
}

// A web server without the password, or with a wrong one, reaches nothing.
func TestFlyingWebServerWithoutPassword(t *testing.T) {
	t.Parallel()
	forEachFront(t, func(t *testing.T, f *flying, w *webServer, tenants []*tenant) {
		w.Stop()
		b, err := os.ReadFile(w.Conf)
		require.NoError(t, err)

		for _, wrong := range []string{"wrong-wrong-wrong-wrong", ""} {
			require.NoError(t, os.WriteFile(w.Conf, []byte(strings.ReplaceAll(string(b), f.password(t), wrong)), 0o644))
			require.True(t, w.Run())

			for _, a := range tenants {
				reply := w.client(a).get(t, "/", "X-Passenger-Password", f.password(t))
				require.Equal(t, http.StatusForbidden, reply.StatusCode)
				require.Equal(t, "Forbidden\n", reply.body)
			}

			w.Stop()
		}

		require.Empty(t, f.groups(t))
		require.True(t, w.Run())
	})
}
