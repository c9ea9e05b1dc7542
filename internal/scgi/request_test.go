package scgi_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
)

// seen is what the handler sees of a request.
func seen(t *testing.T, text string) (*http.Request, string) {
	t.Helper()
	type got struct {
		r    *http.Request
		body string
	}
	requests := make(chan got, 1)
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			b = []byte(err.Error())
		}

		requests <- got{r, string(b)}
	})
	require.Equal(t, "200 OK", s.requireReply(text).status)
	g := receive(t, requests)

	return g.r, g.body
}

func TestRequest(t *testing.T) {
	r, body := seen(t, request("POST", "//a%2Fb/%20x/../y?q=1%202&&", "hello",
		"CONTENT_TYPE", "text/plain", "HTTP_HOST", "shop.example:8080", "HTTPS", "on", "SERVER_NAME", "shop.example",
		"HTTP_X_A", "1", "HTTP_X_A", "2", "HTTP_COOKIE", "a=1", "HTTP_PROXY", "evil", "HTTP_CONNECTION", "upgrade, X-A",
		"HTTP_UPGRADE", "websocket", "HTTP_EXPECT", "100-continue", "HTTP_TE", "trailers", "HTTP_KEEP_ALIVE", "5",
		"HTTP_TRANSFER_ENCODING", "chunked", "HTTP_CONTENT_LENGTH", "7", "HTTP_CONTENT_TYPE", "x/y", "HTTP_", "x",
		"HTTP_PROXY_AUTHORIZATION", "x", "HTTP_X_FORWARDED_PROTO", "http", "HTTP_SOMETHING_ELSE", "",
		"PASSENGER_APP_ROOT", "/srv/shop", "EMPTY", "",
	))
	require.Equal(t, http.MethodPost, r.Method)
	require.Equal(t, "//a%2Fb/%20x/../y?q=1%202&&", r.RequestURI)
	require.Equal(t, "//a%2Fb/%20x/../y", r.URL.EscapedPath())
	require.Equal(t, "q=1%202&&", r.URL.RawQuery)
	require.Empty(t, r.URL.Host)
	require.Equal(t, "shop.example:8080", r.Host)
	require.Equal(t, "192.0.2.7:4711", r.RemoteAddr)
	require.Equal(t, "HTTP/1.1", r.Proto)
	require.True(t, r.ProtoAtLeast(1, 1))
	require.NotNil(t, r.TLS)
	require.Equal(t, http.Header{
		"Content-Type": {"text/plain"}, "Content-Length": {"5"}, "X-A": {"1", "2"}, "Cookie": {"a=1"},
		"X-Forwarded-Proto": {"http"}, "Something-Else": {""},
	}, r.Header)
	require.EqualValues(t, 5, r.ContentLength)
	require.Equal(t, "hello", body)
	params := scgi.Params(r)
	require.Equal(t, scgi.Param{Name: "CONTENT_LENGTH", Value: "5"}, params[0])
	require.Equal(t, "/srv/shop", params.Get("PASSENGER_APP_ROOT"))
	value, ok := params.Lookup("EMPTY")
	require.True(t, ok)
	require.Empty(t, value)
	_, ok = params.Lookup("MISSING")
	require.False(t, ok)

	require.Equal(t, "evil", params.Get("HTTP_PROXY"))
	require.Error(t, r.Context().Err(), "the request is over")
}

func TestParamsOfOtherRequests(t *testing.T) {
	require.Nil(t, scgi.Params(httptest.NewRequest(http.MethodGet, "/", nil)))
}

func TestRequestVariants(t *testing.T) {
	base := []string{"CONTENT_LENGTH", "0", "SCGI", "1", "REQUEST_METHOD", "GET"}

	for name, c := range map[string]struct {
		params []string
		check  func(r *http.Request)
	}{
		"without a target": {nil, func(r *http.Request) { require.Equal(t, "/", r.RequestURI) }},
		"from the parts of a target": {
			[]string{"SCRIPT_NAME", "/a b", "PATH_INFO", "/c?d/ü", "QUERY_STRING", "x=1"},
			func(r *http.Request) {
				require.Equal(t, "/a%20b/c%3Fd/%C3%BC?x=1", r.RequestURI)
				require.Equal(t, "/a b/c?d/ü", r.URL.Path)
			},
		},
		"the target counts more than its parts": {
			[]string{"SCRIPT_NAME", "/x", "REQUEST_URI", "/y", "QUERY_STRING", "x=1"},
			func(r *http.Request) { require.Equal(t, "/y", r.RequestURI) },
		},
		"nothing of the client": {nil, func(r *http.Request) { require.Equal(t, "unknown", r.RemoteAddr) }},
		"a web server on a socket": {
			[]string{"REMOTE_ADDR", "unix:"},
			func(r *http.Request) { require.Equal(t, "@", r.RemoteAddr) },
		},
		"IPv6": {
			[]string{"REMOTE_ADDR", "2001:db8::1", "REMOTE_PORT", "1"},
			func(r *http.Request) { require.Equal(t, "[2001:db8::1]:1", r.RemoteAddr) },
		},
		"no port": {
			[]string{"REMOTE_ADDR", "192.0.2.1"},
			func(r *http.Request) { require.Equal(t, "192.0.2.1:0", r.RemoteAddr) },
		},
		"no protocol": {nil, func(r *http.Request) { require.Equal(t, "HTTP/1.0", r.Proto) }},
		"HTTP/2": {
			[]string{"SERVER_PROTOCOL", "HTTP/2.0"},
			func(r *http.Request) { require.Equal(t, 2, r.ProtoMajor) },
		},
		"no TLS": {[]string{"HTTPS", "off"}, func(r *http.Request) { require.Nil(t, r.TLS) }},
		"no TLS although the client says so": {
			[]string{"HTTP_X_FORWARDED_PROTO", "https", "HTTP_HTTPS", "on"},
			func(r *http.Request) { require.Nil(t, r.TLS) },
		},
		"a name without host": {
			[]string{"SERVER_NAME", "n", "SERVER_PORT", "80"},
			func(r *http.Request) { require.Equal(t, "n", r.Host) },
		},
		"a name and port": {
			[]string{"SERVER_NAME", "n", "SERVER_PORT", "81"},
			func(r *http.Request) { require.Equal(t, "n:81", r.Host) },
		},
		"a name and port with TLS": {
			[]string{"SERVER_NAME", "n", "SERVER_PORT", "443", "HTTPS", "on"},
			func(r *http.Request) { require.Equal(t, "n", r.Host) },
		},
		"an IPv6 name": {
			[]string{"SERVER_NAME", "::1", "SERVER_PORT", "81"},
			func(r *http.Request) { require.Equal(t, "[::1]:81", r.Host) },
		},
		"an empty host": {
			[]string{"HTTP_HOST", "", "SERVER_NAME", "n"},
			func(r *http.Request) { require.Equal(t, "n", r.Host) },
		},
		"no name": {nil, func(r *http.Request) { require.Empty(t, r.Host) }},
		"a type that is empty": {
			[]string{"CONTENT_TYPE", ""},
			func(r *http.Request) { require.Empty(t, r.Header) },
		},
		"the address of the server": {nil, func(r *http.Request) {
			require.IsType(t, &net.UnixAddr{}, r.Context().Value(http.LocalAddrContextKey))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := seen(t, frame(head(append(base, c.params...)...), ""))
			c.check(r)
		})
	}
}

// A request that comes in pieces is the same, however it is cut.
func TestRequestInPieces(t *testing.T) {
	requests := make(chan string, 1)
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(iotest.OneByteReader(r.Body))
		if err != nil {
			b = []byte(err.Error())
		}

		requests <- r.RequestURI + string(b)
	})

	text := request("POST", "/x", "body")
	for cut := 1; cut < len(text); cut++ {
		c := s.dial()
		_, err := io.WriteString(c, text[:cut])
		require.NoError(t, err)
		_, err = io.WriteString(c, text[cut:])
		require.NoError(t, err)
		require.Equal(t, "/xbody", receive(t, requests))
		_, err = io.ReadAll(c)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}

	c := s.dial()
	for i := range len(text) {
		_, err := io.WriteString(c, text[i:i+1])
		require.NoError(t, err)
	}

	require.Equal(t, "/xbody", receive(t, requests))
}

// Bodies of sizes about those of buffers, in heads of all sizes, arrive as they are.
func TestBodies(t *testing.T) {
	requests := make(chan string, 1)

	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			b = []byte(err.Error())
		}

		requests <- string(b)
	})
	for _, pad := range []int{0, 7000, 8192, 20000} {
		for _, size := range []int{1, 2, 4095, 8191, 8192, 8193, 300_000} {
			body := strings.Repeat("0123456789", size/10+1)[:size]
			a := s.requireReply(request("POST", "/", body, "PAD", strings.Repeat("x", pad)))
			require.Equal(t, "200 OK", a.status)
			require.Equal(t, body, receive(t, requests), "%d, %d", pad, size)
		}
	}
}

func TestContexts(t *testing.T) {
	type key string
	got := make(chan [2]any, 1)
	s := newStand(t, func(_ http.ResponseWriter, r *http.Request) {
		got <- [2]any{r.Context().Value(key("base")), r.Context().Value(key("conn"))}
	})
	l := s.listen()
	s.BaseContext = func(given net.Listener) context.Context {
		require.Equal(t, l, given)
		return context.WithValue(context.Background(), key("base"), "b")
	}
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		require.IsType(t, &net.UnixConn{}, c)
		return context.WithValue(ctx, key("conn"), "c")
	}
	s.serve(l)
	s.requireReply(request("GET", "/", ""))
	require.Equal(t, [2]any{"b", "c"}, receive(t, got))
}
