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

// cableApp is to Action Cable what the server sees of it.
const cableApp = `
require "digest"
kept = []
run(lambda do |env|
  next [200, {"content-type" => "text/plain"}, [Process.pid.to_s]] unless env["PATH_INFO"] == "/cable"

  kept << env["rack.hijack"].call
  key = Digest::SHA1.base64digest(env["HTTP_SEC_WEBSOCKET_KEY"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
  kept.last.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: #{key}\r\n\r\n")
  [-1, {}, []]
end)
`

const streamsLog = "processes of their own take any number of requests for the paths of WebSockets"

// WebSockets of a framework that is known occupy no place of those that a process has for other requests.
func TestWebSocketsOfAKnownFrameworkOccupyNoPlace(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		files   map[string]string
		args    func(testing.TB) []string
		target  string
		because string
	}{
		"Socket.IO": {
			map[string]string{"app.js": socketIOApp, "package.json": `{"dependencies": {"socket.io": "4"}}`},
			func(t testing.TB) []string { t.Helper(); return append(nodeArgs(t, "node"), "--concurrency", "1") },
			"/socket.io/?EIO=4&transport=websocket", "package.json has the dependency socket.io",
		},
		"Action Cable": {
			map[string]string{
				"config.ru": cableApp, "config/application.rb": "",
				"config/cable.yml": "development:\n  adapter: redis\n",
			},
			interpreterArgs("--ruby", "ruby", "ruby"), "/cable", "there is config/cable.yml",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(c.args(t), "--max-pool-size", "2")
			s := start(t, &launch{dir: makeApp(t, c.files), args: args})
			page := s.client(t)
			pid := page.get(t, "/").body

			// More than there are places in the pool.
			for range 3 {
				openWebSocket(t, s, c.target)
			}

			require.Equal(t, pid, page.get(t, "/").body, "the process has its place")
			require.Contains(t, s.Stderr.String(), streamsLog)
			require.Contains(t, s.Stderr.String(), c.because)
			require.Contains(t, s.Stderr.String(), "unlimited_concurrency_paths")
		})
	}
}

// An application whose processes take any number has no other processes for WebSockets, and what is configured counts.
func TestWebSocketsOfAKnownFrameworkAreLeftToTheirProcesses(t *testing.T) {
	t.Parallel()

	dir := makeApp(t, map[string]string{
		"app.js": socketIOApp, "package.json": `{"dependencies": {"socket.io": "4"}}`,
	})

	for name, args := range map[string][]string{
		"no limit":   nil,
		"turned off": {"--concurrency", "1", "--unlimited-concurrency-path", "none"},
		"configured": {"--concurrency", "1", "--unlimited-concurrency-path", "/events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: dir, args: append(nodeArgs(t, "node"), args...)})
			c := s.client(t)
			require.Equal(t, c.get(t, "/").body, c.get(t, "/socket.io/").body, "no process of its own")
			require.NotContains(t, s.Stderr.String(), streamsLog)
			require.NotContains(t, s.Stderr.String(), handler.UnlimitedGroupSuffix)
		})
	}
}

func makeApp(t *testing.T, files map[string]string) string {
	t.Helper()

	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}

	return dir
}

// openWebSocket opens one that stays until the end of the test.
func openWebSocket(t *testing.T, s *server, target string) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()

	transport := &http.Transport{}
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http:", "ws:", 1)+target, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.CloseNow() // the process may have ended
		transport.CloseIdleConnections()
	})
}
