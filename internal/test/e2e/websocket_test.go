package e2e_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
)

const megabyte = 1 << 20

func TestWebSocket(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: example(t, "websocket"), args: nodeArgs(t, "websocket")})
	require.Contains(t, s.client(t).get(t, "/").body, "<title>WebSocket</title>")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()

	conn := dialWebSocket(ctx, t, s)
	large := make([]byte, megabyte)

	_, _ = rand.Read(large) // never fails
	for _, m := range []struct {
		kind websocket.MessageType
		data []byte
	}{
		{websocket.MessageText, []byte("grüß Gott")},
		{websocket.MessageBinary, []byte{0, 1, 0xff}},
		{websocket.MessageText, nil},
		{websocket.MessageBinary, large},
	} {
		require.NoError(t, conn.Write(ctx, m.kind, m.data))
		kind, data, err := conn.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, m.kind, kind)
		requireSame(t, string(m.data), string(data))
	}

	conn.CloseRead(ctx) // which also reads the response to the ping
	require.NoError(t, conn.Ping(ctx))

	const code = websocket.StatusCode(4001)

	// The error would be the code that came back, if that is another.
	require.NoError(t, dialWebSocket(ctx, t, s).Close(code, "enough"))

	waiting := dialWebSocket(ctx, t, s)
	began := time.Now()
	s.signal(t, syscall.SIGTERM)
	_, _, err := waiting.Read(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the client was not closed")
	s.requireExit(t, 0)
	require.Less(t, time.Since(began), patience)
}

// A WebSocket is cut when its process is replaced, or keeps it until it ends.
func TestWebSocketAndRollingRestart(t *testing.T) {
	t.Parallel()

	for name, test := range map[string]struct {
		args []string
		kept bool
	}{
		"cut":       {nil, false},
		"kept":      {[]string{"--no-abort-websockets-on-process-shutdown"}, true},
		"kept, too": {[]string{"--abort-websockets-on-process-shutdown=false"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := example(t, "websocket")
			s := start(t, &launch{dir: dir, args: append(nodeArgs(t, "websocket"), test.args...)})
			c := s.client(t)
			old := c.get(t, "/pid").body
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			conn := dialWebSocket(ctx, t, s)
			say := func() error {
				if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
					return err
				}

				_, data, err := conn.Read(ctx)
				if err == nil {
					require.Equal(t, "hello", string(data))
				}

				return err
			}
			require.NoError(t, say())
			restarted, err := s.admin(t, instancedir.CoreAPI).Restart(ctx, dir+" (development)",
				apiserver.RestartOptions{
					Method: "rolling",
					Wait:   true,
				})
			require.NoError(t, err)
			require.True(t, restarted)
			require.NotEqual(t, old, c.get(t, "/pid").body)
			if test.kept {
				require.NoError(t, say())
				s.requireApps(t, 2)
				require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
			} else {
				_, _, err := conn.Read(ctx)
				require.Error(t, err)
				require.NoError(t, ctx.Err(), "the client was not closed")
			}

			s.requireApps(t, 1)
			require.NotEqual(t, old, c.get(t, "/pid").body)
			if test.kept {
				// The end of the server is one of all WebSockets.
				dialWebSocket(ctx, t, s)
			}
		})
	}
}

func dialWebSocket(ctx context.Context, t *testing.T, s *server) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{}
	conn, resp, err := websocket.Dial(ctx, strings.Replace(s.url, "http:", "ws:", 1), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	t.Cleanup(func() {
		_ = conn.CloseNow() // most are closed already
		transport.CloseIdleConnections()
	})
	conn.SetReadLimit(2 * megabyte)

	return conn
}
