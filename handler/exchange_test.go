package handler_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// echo responds with what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("X-Method", r.Method)
	_, _ = io.Copy(w, r.Body)
}

// echoSession is echo for the session protocol.
func echoSession(h sessionproto.Header, body io.Reader, c net.Conn) bool {
	var n int64
	_, _ = fmt.Sscan(h["CONTENT_LENGTH"], &n)
	b, _ := io.ReadAll(io.LimitReader(body, n))
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Length: %s\r\nX-Method: %s\r\nContent-Length: %d\r\n\r\n", h["CONTENT_LENGTH"],
		h["REQUEST_METHOD"], len(b))
	if h["REQUEST_METHOD"] != http.MethodHead && len(b) > 0 {
		_, _ = c.Write(b)
	}

	return false
}

// requireSame does not print what differs: it is long.
func requireSame(t require.TestingT, want, got string) {
	require.Equal(t, sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got)), "%d bytes and %d", len(want), len(got))
}

func bothProtocols(t *testing.T, test func(t *testing.T, script spawnertest.Script)) {
	t.Helper()
	t.Run("http_session", func(t *testing.T) { test(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}) })
	t.Run("session", func(t *testing.T) { test(t, sessionApp(false, echoSession)) })
	t.Run("session kept open", func(t *testing.T) { test(t, sessionApp(true, echoSession)) })
	t.Run("fastcgi", func(t *testing.T) { test(t, fastCGIApp(echoFastCGI)) })
}

func TestRequestsWithAndWithoutBodies(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 64<<10) // more than is collected in memory
	bothProtocols(t, func(t *testing.T, script spawnertest.Script) {
		serve(t, script, func(s *site) {
			for _, body := range []string{"", "x", long} {
				resp, got := s.do(http.MethodPost, "/", body)
				require.Equal(s, http.StatusOK, resp.StatusCode)
				require.Equal(s, "POST", resp.Header.Get("X-Method"))
				require.Equal(s, fmt.Sprint(len(body)), resp.Header.Get("X-Length"))
				requireSame(s, body, got)
			}

			resp, _ := s.do(http.MethodGet, "/", "")
			require.Equal(s, "GET", resp.Header.Get("X-Method"))
			resp, body := s.do(http.MethodHead, "/", "")
			require.Equal(s, "HEAD", resp.Header.Get("X-Method"))
			require.Empty(s, body)
			require.Zero(s, s.sessions())
		})
	})
}

func TestBodyOfUnknownLength(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 64<<10)

	for _, streams := range []bool{false, true} {
		bothProtocols(t, func(t *testing.T, script spawnertest.Script) {
			serveConfig(t, script, handler.Config{StreamRequests: streams}, func(s *site) {
				for _, body := range []string{"", "x", long} {
					c := s.client()
					r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://example.com/",
						io.MultiReader(strings.NewReader(body)))
					require.NoError(s, err)
					resp, err := c.Do(r)
					require.NoError(s, err)
					got, err := io.ReadAll(resp.Body)
					require.NoError(s, err)
					require.NoError(s, resp.Body.Close())
					requireSame(s, body, string(got))
					c.CloseIdleConnections()
					if script.Protocol != "" {
						require.NotEqual(s, "-1", resp.Header.Get("X-Length"), "the session protocol has lengths only")
					}
				}
			})
		})
	}
}

func TestBothWaysAtOnce(t *testing.T) {
	app := spawnertest.Script{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()

		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintf(w, "got %s\n", lines.Text())
			_ = rc.Flush()
		}
	})}
	serveConfig(t, app, handler.Config{StreamRequests: true}, func(s *site) {
		pr, pw := io.Pipe()
		r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://example.com/", pr)
		require.NoError(s, err)
		go func() { fmt.Fprintln(pw, "one") }()
		c := s.client()
		defer c.CloseIdleConnections()
		resp, err := c.Do(r)
		require.NoError(s, err)
		defer resp.Body.Close()

		lines := bufio.NewScanner(resp.Body)
		for _, word := range []string{"one", "two", "three"} {
			require.True(s, lines.Scan())
			require.Equal(s, "got "+word, lines.Text())
			next := map[string]string{"one": "two", "two": "three"}[word]
			if next != "" {
				fmt.Fprintln(pw, next)
			}
		}

		require.NoError(s, pw.Close())
		require.False(s, lines.Scan())
		require.NoError(s, lines.Err())
	})
}

func TestConnectionsAreReused(t *testing.T) {
	for name, c := range map[string]struct {
		script spawnertest.Script
		body   string
		conns  int
	}{
		"http_session":                  {spawnertest.Script{Handler: http.HandlerFunc(echo)}, "x", 1},
		"session without a body":        {sessionApp(false, echoSession), "", 1},
		"session kept open with a body": {sessionApp(true, echoSession), "x", 1},
		"foreign session with a body":   {sessionApp(false, echoSession), "x", 3},
		"HTTP/1.1 with Connection: close": {replyingKeepOpen("HTTP/1.1 200 OK\r\nConnection: x, " +
			"Close\r\nContent-Length: 0\r\n\r\n"), "", 3},
		"HTTP/1.0": {replyingKeepOpen("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), "", 3},
		"HTTP/1.0 with keep-alive": {replyingKeepOpen("HTTP/1.0 200 OK\r\nConnection: " +
			"keep-alive\r\nContent-Length: 0\r\n\r\n"), "", 1},
		"bytes after the body": {
			replyingKeepOpen("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), "",
			3,
		},
		"body where there must not be one": {replyingKeepOpen("HTTP/1.1 204 No Content\r\n\r\nab"), "", 3},
		"chunked with a trailer": {replyingKeepOpen("HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"), "", 1},
		"not modified, with a length of it": {replyingKeepOpen("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			conns := 0
			dial := c.script
			dial.BeforeDial = func(context.Context, *spawnertest.Process) error { conns++; return nil }
			serve(t, dial, func(s *site) {
				for range 3 {
					resp, _ := s.do(http.MethodPost, "/", c.body)
					require.Less(s, resp.StatusCode, 400)
				}

				require.Equal(s, c.conns, conns)
			})
		})
	}
}

// replyingKeepOpen responds to every request with the same bytes and waits for the
// next.
func replyingKeepOpen(raw string) spawnertest.Script {
	return scripted(func(r *http.Request, c net.Conn) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, raw)
		return false
	})
}

func TestStaleConnectionIsReplacedOnce(t *testing.T) {
	for _, c := range []struct {
		method string
		body   string
		status int
	}{
		{http.MethodGet, "", http.StatusOK},
		{http.MethodDelete, "", http.StatusOK},
		{http.MethodPut, "x", http.StatusOK},
		{http.MethodPut, strings.Repeat("x", 64<<10), http.StatusOK},
		{http.MethodPost, strings.Repeat("x", 64<<10), http.StatusBadGateway},
		{http.MethodPost, "", http.StatusBadGateway},
		{http.MethodPost, "x", http.StatusBadGateway},
	} {
		t.Run(fmt.Sprint(c.method, len(c.body)), func(t *testing.T) {
			conns := 0
			app := spawnertest.Script{ServeConn: func(_ *spawnertest.Process, conn net.Conn) {
				conns++

				br := bufio.NewReader(conn)
				for served := 0; ; served++ {
					r, err := http.ReadRequest(br)
					if err != nil || served > 0 {
						return // as if it had just closed an idle connection
					}

					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}}
			serve(t, app, func(s *site) {
				resp, _ := s.do(http.MethodGet, "/", "")
				require.Equal(s, http.StatusOK, resp.StatusCode)
				resp, _ = s.do(c.method, "/", c.body)
				require.Equal(s, c.status, resp.StatusCode)
				require.Equal(s, 1+c.status/http.StatusOK%2, conns)
			})
		})
	}
}

func TestClosedConnectionIsReplacedForEveryMethod(t *testing.T) {
	app := spawnertest.Script{ServeConn: func(_ *spawnertest.Process, c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}

		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}}
	serve(t, app, func(s *site) {
		for range 3 {
			resp, _ := s.do(http.MethodPost, "/", "x")
			require.Equal(s, http.StatusOK, resp.StatusCode, "no byte of the request was taken")
			synctest.Wait()
		}
	})
}

func TestNewConnectionThatDiesIsNotRepeated(t *testing.T) {
	requests := 0
	app := scripted(func(*http.Request, net.Conn) bool { requests++; return true })
	serve(t, app, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")
		require.Equal(s, http.StatusBadGateway, resp.StatusCode)
		require.Equal(s, 1, requests)
	})
}

func TestContinueAndEarlyHints(t *testing.T) {
	app := scripted(func(r *http.Request, c net.Conn) bool {
		if r.Header.Get("Expect") != "" {
			_, _ = io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
			return true
		}

		_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n!~Own: x\r\n\r\n")
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)

		return false
	})
	serve(t, app, func(s *site) {
		var interim []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			interim = append(interim, fmt.Sprint(code, h))
			return nil
		}}
		tr := s.transport()
		tr.ExpectContinueTimeout = time.Hour
		c := &http.Client{Transport: tr}
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(s.Context(), trace), http.MethodPost,
			"http://example.com/", strings.NewReader("body"))
		require.NoError(s, err)
		r.Header.Set("Expect", "100-continue")
		resp, err := c.Do(r)
		require.NoError(s, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		require.Equal(s, "body", string(b))
		require.Equal(s, []string{"100 map[]", "103 map[Link:[</style.css>]]"}, interim)
		require.Empty(s, resp.Header.Get("Link"), "hints are not part of the response")
	})
}

// The rest of a body must not be taken for a request when the response is there
// before it.
func TestResponseBeforeTheBodyIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		response string
		status   int
	}{
		"refused": {
			"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nbig\n",
			http.StatusRequestEntityTooLarge,
		},
		"died": {"", http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			app := scripted(func(_ *http.Request, conn net.Conn) bool {
				if c.response != "" {
					_, _ = io.WriteString(conn, c.response)
				}

				return true
			})
			serveConfig(t, app, handler.Config{StreamRequests: true}, func(s *site) {
				conn := s.dial()
				defer conn.Close()
				_, err := io.WriteString(conn,
					"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nfirst bytes")
				require.NoError(s, err)
				br := bufio.NewReader(conn)
				resp, err := http.ReadResponse(br, nil)
				require.NoError(s, err)
				require.Equal(s, c.status, resp.StatusCode)
				require.True(s, resp.Close)
				_, err = io.ReadAll(resp.Body)
				require.NoError(s, err)
				go func() { _, _ = io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n") }()
				rest, _ := io.ReadAll(br)
				require.Empty(s, rest)
				require.Zero(s, s.sessions())
			})
		})
	}
}

func TestMountedBelowABaseURI(t *testing.T) {
	var got sessionproto.Header
	app := sessionApp(true, func(h sessionproto.Header, b io.Reader, c net.Conn) bool {
		got = h
		return echoSession(h, b, c)
	})
	var cfg handler.Config
	cfg.Options = passenger.Options{}
	cfg.Options.App.BaseURI = "/shop/"
	serveConfig(t, app, cfg, func(s *site) {
		for target, want := range map[string][3]string{
			"/shop":              {"/shop", "/", ""},
			"/shop/":             {"/shop", "/", ""},
			"/shop/a%2Fb/?x=1&y": {"/shop", "/a%2Fb/", "x=1&y"},
			"/shop?x?y":          {"/shop", "/", "x?y"},
		} {
			resp, _ := s.do(http.MethodGet, target, "")
			require.Equal(s, http.StatusOK, resp.StatusCode)
			require.Equal(s, want, [3]string{got["SCRIPT_NAME"], got["PATH_INFO"], got["QUERY_STRING"]}, target)
			require.Equal(s, target, got["REQUEST_URI"])
		}

		for _, target := range []string{"/", "/shopping", "/sho"} {
			resp, _ := s.do(http.MethodGet, target, "")
			require.Equal(s, http.StatusNotFound, resp.StatusCode, target)
		}
	})
}

func TestHTTP2(t *testing.T) {
	bothProtocols(t, func(t *testing.T, script spawnertest.Script) {
		serve(t, script, func(s *site) {
			tr := s.transport()
			tr.Protocols = new(http.Protocols)
			tr.Protocols.SetUnencryptedHTTP2(true)
			c := &http.Client{Transport: tr}
			defer c.CloseIdleConnections()

			for _, body := range []string{"", "some body"} {
				r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, "http://example.com/",
					strings.NewReader(body))
				require.NoError(s, err)
				resp, err := c.Do(r)
				require.NoError(s, err)
				b, err := io.ReadAll(resp.Body)
				require.NoError(s, err)
				require.NoError(s, resp.Body.Close())
				require.Equal(s, 2, resp.ProtoMajor)
				require.Equal(s, body, string(b))
			}
		})
	})
}
