package loaders_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASGIApplicationsBelowABaseURI(t *testing.T) {
	t.Parallel()

	c := start(t, asgiSpec(t, asgiApp, func(s *spec) { s.request.BaseURI = "/my%20shop" })).httpClient(t)
	for _, target := range []string{"/my%20shop", "/my%20shop/", "/%6dy%20shop/a"} {
		path, err := url.PathUnescape(target)
		require.NoError(t, err)
		text := ask(t, c, http.MethodGet, target, "")
		require.Contains(t, text, fmt.Sprintf(`"path": %q`, path))
		require.Contains(t, text, `"root_path": "/my shop"`)
	}
}

// Starlette's older versions want the path to be what is below the base URI.
func TestASGIApplicationsOfStarletteBelowABaseURI(t *testing.T) {
	t.Parallel()
	pythonWith(t, "starlette")

	const source = `from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

def page(request):
    return PlainTextResponse(f'{request.url_for("page")} {request.url.path} {request.scope["raw_path"]}')

async def chat(websocket):
    await websocket.accept()

app = Starlette(routes=[Route("/a", page, name="page"), WebSocketRoute("/chat", chat)])
`
	for base, seen := range map[string]string{"/shop": "/shop", "/shop/caf%C3%A9": "/shop/café"} {
		c := start(t, asgiSpec(t, source, func(s *spec) { s.request.BaseURI = base })).httpClient(t)
		require.Equal(t, "http://shop.example.com"+seen+"/a "+seen+"/a b'/a'", ask(t, c, http.MethodGet, base+"/a", ""))

		// The raw path of WebSockets is text in older versions of uvicorn.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example.com"+base+"/chat",
			http.NoBody)
		require.NoError(t, err)
		r.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
		}
		resp, err := c.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	}
}

// The socket has no name that clients know: what they have asked for is the server, as in a CGI environment.
func TestASGIServerIsWhomTheClientHasAsked(t *testing.T) {
	t.Parallel()

	c := start(t, asgiSpec(t, asgiApp)).httpClient(t)
	for _, test := range []struct{ host, scheme, want string }{
		{"shop.example.com", "http", `["shop.example.com", 80]`},
		{"shop.example.com", "https", `["shop.example.com", 443]`},
		{"shop.example.com:8080", "https", `["shop.example.com", 8080]`},
		{"shop.example.com:", "http", `["shop.example.com", 80]`},
		{"192.0.2.1:81", "http", `["192.0.2.1", 81]`},
		{"[2001:db8::1]", "https", `["2001:db8::1", 443]`},
		{"[2001:db8::1]:8443", "https", `["2001:db8::1", 8443]`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example.com/", http.NoBody)
		require.NoError(t, err)
		r.Host = test.host
		r.Header.Set("X-Forwarded-Proto", test.scheme)
		resp, err := c.Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(text), `"server": `+test.want, test.host)
	}
}
