package handler_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// counting responds with how many requests it has had.
func counting(head string) (app spawnertest.Script, seen *int) {
	seen = new(int)

	return scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		*seen++
		body := fmt.Sprint(*seen)
		if r.Method == http.MethodHead {
			body = ""
		}

		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n%s\r\n\r\n%s", head, body)

		return false
	}), seen
}

// The turbocache serves what the application permits, until it expires or a request changes it.
//
// Faults: R-21.
func TestTurbocacheServesUntilExpiryOrAWrite(t *testing.T) {
	app, seen := counting("Cache-Control: max-age=60")
	serve(t, app, func(s *site) {
		get := func(want string, header ...string) *http.Response {
			resp, body := s.do(http.MethodGet, "/", "", header...)
			require.Equal(s, want, body)
			require.Equal(s, "200 OK", resp.Header.Get("Status"))

			return resp
		}
		require.Empty(s, get("1").Header.Get("Age"))
		time.Sleep(10 * time.Second)
		require.Equal(s, "10", get("1").Header.Get("Age"))
		resp, body := s.do(http.MethodHead, "/", "", "Accept-Encoding", "gzip") // as net/http asks by GET
		require.Equal(s, "1", resp.Header.Get("Content-Length"))
		require.Empty(s, body)
		require.Equal(s, 1, *seen)
		get("2", "Authorization", "Basic eDp5")
		get("3", "Cache-Control", "no-cache")
		_, body = s.do(http.MethodGet, "/?other", "")
		require.Equal(s, "4", body)
		get("1")
		s.do(http.MethodPost, "/", "x")
		get("6")
		get("6")
		time.Sleep(60 * time.Second)
		get("7")
		stats := s.handler.Inspect().Turbocaching
		require.NotZero(s, stats.Hits)
		s.env = handler.Env{"REMOTE_USER": "alice"}
		get("8")
		s.env = nil
		get("7")
		_, body = s.do(http.MethodGet, "/", "a body")
		require.Equal(s, "9", body)
	})
}

// A client that has the response already gets no body, as from the application itself.
func TestTurbocacheKeepsToConditions(t *testing.T) {
	const modified = "Fri, 31 Dec 1999 00:00:00 GMT"
	app, seen := counting("Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Type: text/x\r\n" +
		"Last-Modified: " + modified)
	serve(t, app, func(s *site) {
		s.do(http.MethodGet, "/", "")
		time.Sleep(10 * time.Second)

		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, condition := range [][]string{
				{"If-None-Match", `"b", W/"a"`}, {"If-None-Match", "*"}, {"If-Modified-Since", modified},
			} {
				resp, body := s.do(method, "/", "", condition...)
				require.Equal(s, http.StatusNotModified, resp.StatusCode)
				require.Empty(s, body)
				require.Equal(s, "304 Not Modified", resp.Header.Get("Status"))
				require.Equal(s, `"a"`, resp.Header.Get("ETag"))
				require.Equal(s, "max-age=60", resp.Header.Get("Cache-Control"))
				require.Equal(s, "10", resp.Header.Get("Age"))
				require.Empty(s, resp.Header.Values("Content-Type"))
				require.Empty(s, resp.Header.Values("Content-Length"))
			}
		}

		resp, body := s.do(http.MethodGet, "/", "", "If-None-Match", `"b"`, "If-Modified-Since", modified)
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, "1", body)
		require.Equal(s, 1, *seen)
	})
}

// Faults: R-21.
func TestResponsesThatAreNotCached(t *testing.T) {
	for name, head := range map[string]string{
		"says nothing": "X: y", "private": "Cache-Control: private, max-age=60",
		"cookie": "Cache-Control: max-age=60\r\nSet-Cookie: a=b",
		"vary":   "Cache-Control: max-age=60\r\nVary: Cookie",
		"file":   "Cache-Control: max-age=60\r\nX-Sendfile: /etc/passwd",
	} {
		t.Run(name, func(t *testing.T) {
			app, seen := counting(head)
			serve(t, app, func(s *site) {
				for i := range 3 {
					s.do(http.MethodGet, "/", "")
					require.Equal(s, i+1, *seen)
				}
			})
		})
	}

	app, seen := counting("Cache-Control: max-age=60")
	serveConfig(t, app, handler.Config{DisableTurbocache: true}, func(s *site) {
		s.do(http.MethodGet, "/", "")
		s.do(http.MethodGet, "/", "")
		require.Equal(s, 2, *seen)
	})
}

// Faults: R-21.
func TestTurbocacheVariesByACookie(t *testing.T) {
	app, _ := counting("Cache-Control: max-age=60")
	serveConfig(t, app, handler.Config{VaryTurbocacheByCookie: "lang"}, func(s *site) {
		for _, c := range []struct{ cookie, want string }{
			{"lang=de", "1"},
			{"lang=en", "2"},
			{"a=b; lang=de", "1"},
			{"a=b", "3"},
			{"", "3"},
			{"lang=en", "2"},
		} {
			_, body := s.do(http.MethodGet, "/", "", "Cookie", c.cookie)
			require.Equal(s, c.want, body, c.cookie)
		}
	})
}

// The sticky cookie is each client's own, and no part of what is cached.
func TestTurbocacheWithStickySessions(t *testing.T) {
	app, _ := counting("Cache-Control: max-age=60")
	serveConfig(t, app, handler.Config{StickySessions: handler.StickySessions{Enabled: true}}, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.NotEmpty(s, resp.Cookies())
		resp, body := s.do(http.MethodGet, "/", "")
		require.Equal(s, "1", body)
		require.Empty(s, resp.Cookies())
	})
}
