package handler_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// rewriting changes each request's URL before the handler sees it.
func rewriting(change func(u *url.URL)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// As http.StripPrefix does it.
			changed := *r.URL
			change(&changed)
			own := new(http.Request)
			*own = *r
			own.URL = &changed
			next.ServeHTTP(w, own)
		})
	}
}

// stripSlashes is what chi's StripSlashes does to a request outside of chi's routers.
func stripSlashes(u *url.URL) {
	if len(u.Path) > 1 {
		u.Path = strings.TrimSuffix(u.Path, "/")
	}
}

func TestURLThatMiddlewareLeavesDecidesTheTarget(t *testing.T) {
	for _, test := range []struct {
		name       string
		middleware func(http.Handler) http.Handler
		asked      string
		want       string
	}{
		{"prefix stripped", strip("/shop"), "/shop/cart?x=1", "/cart?x=1"},
		{"prefix stripped, nothing left", strip("/shop"), "/shop", "/"},
		{"prefix stripped, only a query left", strip("/shop"), "/shop?x", "/?x"},
		{"prefix stripped with its slash", strip("/shop/"), "/shop/cart", "/cart"},
		{"prefix stripped before escapes", strip("/shop"), "/shop/a%2Fb%20c%7Ed", "/a%2Fb%20c%7Ed"},
		{"prefix with escapes stripped", strip("/café"), "/caf%C3%A9/a%20b", "/a%20b"},
		{"prefix stripped from an absolute target", strip("/shop"), "http://example.com/shop/cart?x", "/cart?x"},
		{"slash stripped", rewriting(stripSlashes), "/cart/", "/cart"},
		{"slash stripped behind escapes", rewriting(stripSlashes), "/a%20b/?q", "/a%20b?q"},
		{"path replaced", rewriting(func(u *url.URL) { u.Path = "/index page" }), "/old", "/index%20page"},
		{"path replaced where it had escapes", rewriting(func(u *url.URL) { u.Path = "/new" }), "/o%2Fd", "/new"},
		{
			"path cleaned", rewriting(func(u *url.URL) { u.Path, u.RawPath = path.Clean(u.Path), "" }),
			"/a/../b%2F..%2Fc",
			"/c",
		},
		{"escaped slashes made slashes", rewriting(func(u *url.URL) { u.RawPath = "" }), "/a%2Fb", "/a/b"},
		{"query added", rewriting(func(u *url.URL) { u.RawQuery = "tenant=7" }), "/a", "/a?tenant=7"},
		{"parameter added", rewriting(func(u *url.URL) { u.RawQuery += "&tenant=7" }), "/a?b=%zz", "/a?b=%zz&tenant=7"},
		{"query removed", rewriting(func(u *url.URL) { u.RawQuery = "" }), "/a?secret=1", "/a"},
		{"query of nothing removed", rewriting(func(u *url.URL) { u.ForceQuery = false }), "/a?", "/a"},
		{"URL replaced", func(next http.Handler) http.Handler {
			return rewriting(func(u *url.URL) { *u = url.URL{Path: "/b c", RawQuery: "d"} })(next)
		}, "/a", "/b%20c?d"},
		{
			"nothing changed, odd escapes", rewriting(func(*url.URL) {}), "/%7Eme/a%2fb;c=%3B?d=%zz",
			"/%7Eme/a%2fb;c=%3B?d=%zz",
		},
		{"nothing changed, double slashes and dots", rewriting(func(*url.URL) {}), "//a/./../b//?", "//a/./../b//?"},
		{"nothing changed, what should be escaped", rewriting(func(*url.URL) {}), "/\xc3\xa4\"<>", "/\xc3\xa4\"<>"},
		{"encoding changed only", rewriting(func(u *url.URL) { u.RawPath = "" }), "/%7Eme", "/%7Eme"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got string
			serveBehind(t, recordingHTTP(&got), handler.Config{}, test.middleware, func(s *site) {
				require.Contains(s, s.raw("GET "+test.asked+
					" HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"), " 200 OK")

				first, _, _ := strings.Cut(got, "\r\n")
				require.Equal(s, "GET "+test.want+" HTTP/1.1", first)
			})
		})
	}
}

func TestURLThatMiddlewareLeavesDecidesTheVariables(t *testing.T) {
	var got sessionproto.Header
	var cfg handler.Config
	cfg.Options.App.BaseURI = "/app"
	serveBehind(t, recordingSession(&got), cfg, strip("/outer"), func(s *site) {
		resp, _ := s.do(http.MethodGet, "/outer/app/a%20b?c", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, []string{"/app", "/a%20b", "c", "/app/a%20b?c"},
			[]string{got["SCRIPT_NAME"], got["PATH_INFO"], got["QUERY_STRING"], got["REQUEST_URI"]})
		resp, _ = s.do(http.MethodGet, "/outer/other", "")
		require.Equal(s, http.StatusNotFound, resp.StatusCode, "it is outside of the base URI")
	})
}

// A request that no server has read has no target but its URL's.
func TestURLOfARequestWithoutAServer(t *testing.T) {
	var got string
	serve(t, recordingHTTP(&got), func(s *site) {
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com/a%2Fb?c", http.NoBody)
		require.NoError(s, err)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		require.Equal(s, http.StatusOK, w.Code)
		require.Contains(s, got, "GET /a%2Fb?c HTTP/1.1\r\n")
	})
}

// setting sets headers of the response before the application does.
func setting(header ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}

			next.ServeHTTP(w, r)
		})
	}
}

func TestFieldsThatAddUpStayBesideTheApplications(t *testing.T) {
	names := []string{
		"Set-Cookie", "Vary", "Link", "Server-Timing", "Via", "Www-Authenticate", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only", "Access-Control-Expose-Headers",
	}
	var head strings.Builder
	set := make([]string, 0, 6+4*len(names))

	set = append(set, "X-Frame-Options", "DENY", "Cache-Control", "private", "X-Only", "middleware")
	for _, name := range names {
		fmt.Fprintf(&head, "%s: app\r\n", name)
		set = append(set, name, "one", name, "two")
	}

	app := replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Frame-Options: SAMEORIGIN\r\n" +
		"Cache-Control: no-cache\r\n" + head.String() + "\r\n")
	serveBehind(t, app, handler.Config{}, setting(set...), func(s *site) {
		for range 2 { // what is shared does not grow
			resp, _ := s.do(http.MethodGet, "/", "")
			for _, name := range names {
				require.Equal(s, []string{"one", "two", "app"}, resp.Header[name], name)
			}

			require.Equal(s, []string{"SAMEORIGIN"}, resp.Header["X-Frame-Options"],
				"there is one, and the application is nearer")
			require.Equal(s, []string{"no-cache"}, resp.Header["Cache-Control"])
			require.Equal(s, []string{"middleware"}, resp.Header["X-Only"])
		}
	})
}

func TestFieldsThatAddUpStayBesideACachedResponse(t *testing.T) {
	asked := 0
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		asked++
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: public, max-age=60\r\n"+
			"Link: </app>\r\nServer-Timing: app\r\n\r\nok")

		return false
	})
	number := 0
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			number++
			w.Header().Add("Set-Cookie", fmt.Sprint("session=", number))
			w.Header().Add("Vary", "Origin")
			w.Header().Add("Link", "</middleware>")
			w.Header().Add("Server-Timing", "middleware")
			next.ServeHTTP(w, r)
		})
	}
	serveBehind(t, app, handler.Config{}, middleware, func(s *site) {
		for i := range 4 {
			resp, body := s.do(http.MethodGet, "/", "")
			require.Equal(s, "ok", body)
			require.Equal(s, []string{fmt.Sprint("session=", i+1)}, resp.Header["Set-Cookie"],
				"each client has its own")
			require.Equal(s, []string{"Origin"}, resp.Header["Vary"])
			require.Equal(s, []string{"</middleware>", "</app>"}, resp.Header["Link"])
			require.Equal(s, []string{"middleware", "app"}, resp.Header["Server-Timing"])
		}

		require.Equal(s, 1, asked, "the others are cached")
	})
}

func TestFieldsOfMiddlewareGoWithAWebSocketsResponse(t *testing.T) {
	app := replying("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: " +
		"app=1\r\n\r\n")
	serveBehind(t, app, handler.Config{}, setting("Set-Cookie", "session=1", "X-Only", "middleware"), func(s *site) {
		response := s.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(response)), nil)
		require.NoError(s, err)
		require.Equal(s, http.StatusSwitchingProtocols, resp.StatusCode)
		require.Equal(s, []string{"session=1", "app=1"}, resp.Header["Set-Cookie"])
		require.Equal(s, []string{"middleware"}, resp.Header["X-Only"])
	})
}

func strip(prefix string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return http.StripPrefix(prefix, next) }
}

// serveBehind is serveConfig with middleware in front of the handler.
func serveBehind(
	t *testing.T, script spawnertest.Script, cfg handler.Config, middleware func(http.Handler) http.Handler,
	test func(s *site),
) {
	t.Helper()
	serveConfig(t, script, cfg, func(s *site) {
		s.front = middleware(s.handler)
		test(s)
	})
}
