package handler_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/httphead"
)

// Whatever has made the request, a client by HTTP/2 or middleware, its method is a token
// of a line.
func TestMethodsThatNoApplicationSees(t *testing.T) {
	for method, status := range map[string]int{
		"GET": 200, "get": 200, "PURGE": 200, strings.Repeat("M", httphead.MaxMethod): 200,
		"": 400, "GET /admin HTTP/1.1": 400, "GET\r\n": 400, "GET\x00": 400, "G\u00c4T": 400, "GET ": 400,
		strings.Repeat("M", httphead.MaxMethod+1): 501, "CONNECT": 501, "OOBW": 501,
	} {
		requireStatus(t, status, func(r *http.Request) { r.Method = method })
	}
}

func TestFieldsThatNoApplicationSees(t *testing.T) {
	for name, values := range map[string][]string{
		"Content-Type": {"a/b", "a/b"}, "Content-Length": {"+5"}, "X-A": {"b\xa0"}, "X-B": {"\x85b"}, "X-C": {"b\nc"},
		"X-D": {"\u00a0"},
	} {
		requireStatus(t, 400, func(r *http.Request) { r.Header[name] = values })
	}

	requireStatus(t, 200, func(r *http.Request) { r.Header["X-A"] = []string{"voil\u00e0"} })
}

func TestTargetsThatNoApplicationSees(t *testing.T) {
	for _, target := range []string{"/a#b", "/a?b#c"} {
		requireStatus(t, 400, func(r *http.Request) {
			r.RequestURI = target
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
		})
	}

	requireStatus(t, 400, func(r *http.Request) { r.ProtoMajor, r.RequestURI = 2, "http://example.com/" })
	requireStatus(t, 400, func(r *http.Request) { r.Method, r.RequestURI, r.URL.Path = http.MethodOptions, "*", "*" })
}

func requireStatus(t *testing.T, want int, change func(r *http.Request)) {
	t.Helper()
	script := replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	serve(t, script, func(s *site) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		change(r)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		require.Equal(s, want, w.Code, "%q %q %q", r.Method, r.RequestURI, r.Header)
	})
}

// net/http takes some requests in another way than whoever is in front of it may, so that
// the connection ends with them, but not where httphead has read them first.
func TestDoubtfulRequestsEndTheConnection(t *testing.T) {
	const coded = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	for _, strict := range []bool{false, true} {
		serve(t, replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), func(s *site) {
			s.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strict {
					r = r.WithContext(httphead.WithStrict(r.Context(), true))
				}

				s.handler.ServeHTTP(w, r)
			})
			got := s.raw(coded + "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			require.Equal(s, map[bool]int{false: 1, true: 2}[strict], strings.Count(got, "HTTP/1.1 200 OK"), "%s", got)
		})
	}
}
