package e2e_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
)

// socketIOApp is to Socket.IO what the server sees of it.
const socketIOApp = `
const http = require("http"), crypto = require("crypto");
const server = http.createServer((request, response) => response.end(String(process.pid)));
server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Accept: " + crypto.createHash("sha1").update(key).digest("base64") + "\r\n\r\n");
});
server.listen(3000);
`

const streamsLog = "processes of their own take any number of requests for the paths of WebSockets"

// WebSockets of a framework that is known occupy no place of those that a process has for other requests.
func TestWebSocketsOfAKnownFrameworkOccupyNoPlace(t *testing.T) {
	t.Parallel()

	node := nodeArgs(t, "node")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.js"), []byte(socketIOApp), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"dependencies": {"socket.io": "4"}}`), 0o600))

	run := func(t *testing.T, args ...string) *server {
		t.Helper()
		args = append(append([]string{"--max-pool-size", "2"}, node...), args...)

		return start(t, &launch{dir: dir, args: args})
	}

	t.Run("one request at a time", func(t *testing.T) {
		t.Parallel()
		s := run(t, "--concurrency", "1")
		c := s.client(t)
		pid := c.get(t, "/").body

		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()

		for range 3 {
			transport := &http.Transport{}
			conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http:", "ws:", 1)+"/socket.io/?EIO=4&transport=websocket",
				&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
			require.NoError(t, err)
			t.Cleanup(func() {
				_ = conn.CloseNow() // the process ends before it responds
				transport.CloseIdleConnections()
			})
		}

		require.Equal(t, pid, c.get(t, "/").body, "the process has its place")
		s.requireApps(t, 2)
		require.Contains(t, s.Stderr.String(), streamsLog)
		require.Contains(t, s.Stderr.String(), "package.json has the dependency socket.io")
		require.Contains(t, s.Stderr.String(), "unlimited_concurrency_paths")
	})

	for name, args := range map[string][]string{
		"no limit":   nil,
		"turned off": {"--concurrency", "1", "--unlimited-concurrency-path", "none"},
		"configured": {"--concurrency", "1", "--unlimited-concurrency-path", "/events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run(t, args...)
			c := s.client(t)
			require.Equal(t, c.get(t, "/").body, c.get(t, "/socket.io/").body, "no process of its own")
			require.NotContains(t, s.Stderr.String(), streamsLog)
			require.NotContains(t, s.Stderr.String(), handler.UnlimitedGroupSuffix)
		})
	}
}
