package loaders_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

// clientNode and clientASGI respond with the client's address, family and port, and the number of fields.
const clientNode = `
const show = (req) => {
  const { remoteAddress, remoteFamily, remotePort } = req.socket;
  const fields = Object.keys(req.headers).length;
  return remoteAddress === undefined ? 'unknown ' + fields :
    [remoteAddress, remoteFamily, remotePort, req.rawHeaders.length / 2 === fields ? fields : 'hidden'].join(' ');
};
const server = require('http').createServer((req, res) => {
  const atOnce = show(req);
  setImmediate(() => res.end(atOnce === show(req) ? atOnce : 'it has changed'));
});
server.on('upgrade', (req, socket) => {
  socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n' + show(req));
});
server.listen(0);
`

const clientASGI = `
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    fields = len(scope["headers"])
    text = "unknown %d" % fields
    if scope["client"]:
        host, port = scope["client"]
        text = "%s %s %d %d" % (host, "IPv6" if ":" in host else "IPv4", port, fields)

    body = text.encode("ascii")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
`

func namesClient(s *spec) { s.request.Features = []string{loaderproto.FeatureHTTPClient} }

// The client is who the server in front says, not what is in a field of proxies, whatever the protocol of the socket.
func TestApplicationsByHTTPSeeTheClientThatTheServerNames(t *testing.T) {
	t.Parallel()

	for name, app := range map[string]func(*testing.T, ...func(*spec)) *spec{
		"Node.js": func(t *testing.T, options ...func(*spec)) *spec {
			t.Helper()
			return nodeSpec(t, nodeApp(t, "app.js", clientNode), options...)
		},
		"ASGI": func(t *testing.T, options ...func(*spec)) *spec {
			t.Helper()
			return asgiSpec(t, clientASGI, options...)
		},
		"Go": goSpec,
	} {
		for socket, option := range map[string]func(*spec){"Unix": func(*spec) {}, "TCP": tcpOnly} {
			t.Run(name+" "+socket, func(t *testing.T) {
				t.Parallel()
				p := start(t, app(t, namesClient, option))
				require.True(t, p.ready.HasFeature(loaderproto.FeatureHTTPClient))
				showsClients(t, p.http(t), socket)
				p.requireCleanStop(t)
			})
		}
	}
}

func showsClients(t *testing.T, c *httpConn, socket string) {
	t.Helper()

	for _, row := range []struct{ said, want string }{
		{"192.0.2.1 0", "192.0.2.1 IPv4 0"},
		{"192.0.2.2 50123", "192.0.2.2 IPv4 50123"},
		{"2001:db8::1 443", "2001:db8::1 IPv6 443"},
		{"fe81::1%lo 443", "fe81::1%lo IPv6 443"},
		{"", "unknown"},
	} {
		field := ""
		if row.said != "" {
			field = "!~Passenger-Client: " + row.said + "\r\n"
		} else if socket == "TCP" {
			continue
		}

		_, err := fmt.Fprintf(c,
			"GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.9, 192.0.2.8\r\n%s\r\n", field)
		require.NoError(t, err)
		require.Regexp(t, "^"+row.want+` (IPv4 0 )?[12]$`, c.read(t).body, "with the field %q", field)
	}
}

func TestNodeUpgradesHaveTheClientsAddress(t *testing.T) {
	t.Parallel()
	p := start(t, nodeSpec(t, nodeApp(t, "app.js", clientNode), namesClient))
	c := p.http(t)
	_, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n" +
		"!~Passenger-Client: 192.0.2.3 0\r\n\r\n"))
	require.NoError(t, err)
	all, err := io.ReadAll(c.br)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(all), "192.0.2.3 IPv4 0 3"), "%s", all)
	require.NoError(t, c.Close())
	p.requireCleanStop(t)
}
