package handler_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/fcgiproto"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// fastCGIApp is an application of that protocol. A connection is closed after an error.
func fastCGIApp(respond func(r *fcgiproto.Request) error) spawnertest.Script {
	return spawnertest.Script{
		Protocol: loaderproto.FastCGI,
		ServeConn: func(_ *spawnertest.Process, c net.Conn) {
			app := fcgiproto.NewConn(c)
			for {
				r, err := app.Accept()
				if err != nil || respond(r) != nil {
					return
				}
			}
		},
	}
}

// echoFastCGI is echo for FastCGI.
func echoFastCGI(r *fcgiproto.Request) error {
	body, err := io.ReadAll(r.Stdin())
	if err != nil {
		return err
	}

	head := fmt.Sprintf("X-Length: %s\r\nX-Method: %s\r\n\r\n", r.Params["CONTENT_LENGTH"], r.Params["REQUEST_METHOD"])
	if err := r.Stdout([]byte(head)); err != nil {
		return err
	}

	if r.Params["REQUEST_METHOD"] != http.MethodHead {
		if err := r.Stdout(body); err != nil {
			return err
		}
	}

	return r.End(0, fcgiproto.RequestComplete)
}

// say responds with what stands on the wire as standard output.
func say(text string) func(r *fcgiproto.Request) error {
	return func(r *fcgiproto.Request) error {
		if err := r.Stdout([]byte(text)); err != nil {
			return err
		}

		return r.End(0, fcgiproto.RequestComplete)
	}
}

func TestHeadOfAFastCGIRequest(t *testing.T) {
	root := t.TempDir()
	public := filepath.Join(root, "public")
	require.NoError(t, os.MkdirAll(filepath.Join(public, "admin"), 0o755))

	for _, file := range []string{"index.php", "a b.php", "admin/index.php"} {
		require.NoError(t, os.WriteFile(filepath.Join(public, file), nil, 0o600))
	}

	var got map[string]string
	script := fastCGIApp(func(r *fcgiproto.Request) error {
		got = r.Params
		return echoFastCGI(r)
	})
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	cfg.Options.App.Type, cfg.Options.App.BaseURI = "php", "/caf%C3%A9"
	servePHP(t, script, cfg, root, func(s *site) {
		s.raw("POST /caf%C3%A9/a%20b.php/x%2Fy?q=1 HTTP/1.1\r\nHost: example.com:8080\r\nProxy: http://evil\r\n" +
			"X_User: forged\r\nX-Name: 1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n" +
			"Connection: close\r\n\r\nab")

		for name, want := range map[string]string{
			"REQUEST_URI": "/caf%C3%A9/a%20b.php/x%2Fy?q=1", "QUERY_STRING": "q=1", "REQUEST_METHOD": "POST",
			"SCRIPT_NAME": "/café/a b.php", "PATH_INFO": "/x/y", "SCRIPT_FILENAME": filepath.Join(public, "a b.php"),
			"DOCUMENT_ROOT": public, "CONTENT_LENGTH": "2", "CONTENT_TYPE": "text/plain", "HTTP_X_NAME": "1",
			"SERVER_NAME": "example.com", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1",
			"GATEWAY_INTERFACE": "CGI/1.1", "REDIRECT_STATUS": "200", "SERVER_ADDR": "127.0.0.1", "HTTP_HOST": "example.com:8080",
			"REQUEST_SCHEME": "http",
		} {
			require.Equal(s, want, got[name], name)
		}

		for _, name := range []string{
			"HTTP_PROXY", "HTTP_X_USER", "PATH_TRANSLATED", "HTTPS", "PASSENGER_CONNECT_PASSWORD", "HTTP_CONTENT_TYPE",
		} {
			require.NotContains(s, got, name)
		}

		s.do(http.MethodGet, "/caf%C3%A9/", "", "X-Forwarded-Proto", "https")
		require.Equal(s, []string{"https", "on"}, []string{got["REQUEST_SCHEME"], got["HTTPS"]})

		resp, _ := s.do(http.MethodGet, "/caf%C3%A9/admin?x=1", "")
		require.Equal(s, http.StatusMovedPermanently, resp.StatusCode)
		require.Equal(s, "/caf%C3%A9/admin/?x=1", resp.Header.Get("Location"))
		resp, _ = s.do(http.MethodPost, "/caf%C3%A9/admin", "a")
		require.Equal(s, http.StatusPermanentRedirect, resp.StatusCode)
		resp, _ = s.do(http.MethodGet, "/caf%C3%A9/%00.php", "")
		require.GreaterOrEqual(s, resp.StatusCode, http.StatusBadRequest)
		require.Zero(s, s.sessions())
	})
}

// servePHP is serveConfig for an application in root.
func servePHP(t *testing.T, script spawnertest.Script, cfg handler.Config, root string, test func(s *site)) {
	t.Helper()
	serveConfig(t, script, cfg, func(s *site) {
		cfg.Options.App.Root, cfg.Options.App.GroupName = root, "php"

		own, err := handler.New(s.pool, cfg)
		require.NoError(s, err)
		s.handler = own
		test(s)
	})
}

// TestResponsesByFastCGI is about what scripts respond.
func TestResponsesByFastCGI(t *testing.T) {
	for name, test := range map[string]struct {
		says   string
		status int
		body   string
		header string // name: value
	}{
		"no status":              {"Content-Type: text/plain\r\n\r\nhello", 200, "hello", "Content-Type: text/plain"},
		"status":                 {"Status: 404 Not Found\r\n\r\nno", 404, "no", "Status: 404 Not Found"},
		"status without reason":  {"Status: 418\r\n\r\n", 418, "", ""},
		"no fields":              {"\r\nhello", 200, "hello", ""},
		"nothing but a head":     {"X-A: b\r\n\r\n", 200, "", "X-A: b"},
		"location":               {"Location: https://a/b\r\n\r\n", 302, "", "Location: https://a/b"},
		"local location":         {"Location: /b?c\r\n\r\n", 302, "", "Location: /b?c"},
		"location with a status": {"Status: 301 Moved\r\nLocation: /b\r\n\r\n", 301, "", "Location: /b"},
		"length":                 {"Content-Length: 5\r\n\r\nhello", 200, "hello", "Content-Length: 5"},
		"more than the length":   {"Content-Length: 5\r\n\r\nhello world", 200, "hello", "Content-Length: 5"},
		"transfer coding":        {"Transfer-Encoding: chunked\r\n\r\nhello", 200, "hello", ""},
		"connection":             {"Connection: close\r\nKeep-Alive: 1\r\n\r\nhello", 200, "hello", "Keep-Alive: "},
		"no content":             {"Status: 204 No Content\r\n\r\n", 204, "", ""},
		"not modified, a body":   {"Status: 304 Not Modified\r\n\r\nbody", 304, "", ""},

		"less than the length":  {"Content-Length: 50\r\n\r\nhello", 502, "", ""},
		"two statuses":          {"Status: 200\r\nStatus: 404\r\n\r\n", 502, "", ""},
		"status of two digits":  {"Status: 20\r\n\r\n", 502, "", ""},
		"status of four digits": {"Status: 2000\r\n\r\n", 502, "", ""},
		"status with a sign":    {"Status: +200\r\n\r\n", 502, "", ""},
		"reason with a control": {"Status: 200 a\x01b\r\n\r\n", 502, "", ""},
		"status in words":       {"Status: OK\r\n\r\n", 502, "", ""},
		"interim status":        {"Status: 103 Early Hints\r\n\r\n", 502, "", ""},
		"upgrade":               {"Status: 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 502, "", ""},
		"status line":           {"HTTP/1.1 200 OK\r\n\r\nhello", 502, "", ""},
		"two lengths":           {"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 502, "", ""},
		"a length that is none": {"Content-Length: -5\r\n\r\nhello", 502, "", ""},
		"a line without colon":  {"Content-Type\r\n\r\nhello", 502, "", ""},
		"a folded line":         {"X-A: b\r\n c\r\n\r\nhello", 502, "", ""},
		"a name with a blank":   {"X A: b\r\n\r\nhello", 502, "", ""},
		"a head without an end": {"X-A: b\r\n", 502, "", ""},
		"a head that is long":   {"X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 502, "", ""},
		"nothing":               {"", 502, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, fastCGIApp(say(test.says)), func(s *site) {
				resp, body := s.do(http.MethodGet, "/", "")
				require.Equal(s, test.status, resp.StatusCode)

				if test.status != http.StatusBadGateway {
					require.Equal(s, test.body, body)
				}

				if field, value, ok := strings.Cut(test.header, ": "); ok {
					require.Equal(s, value, resp.Header.Get(field))
				}

				require.Zero(s, s.sessions())
			})
		})
	}
}

// TestFastCGIConnectionsAreKept counts connections: whole responses keep them, and others do not.
func TestFastCGIConnectionsAreKept(t *testing.T) {
	for says, keeps := range map[string]bool{
		"\r\nhello": true, "Content-Length: 5\r\n\r\nhello": true, "Status: 304\r\n\r\n": true,
		"Status: 304\r\n\r\nbody": true, "Content-Length: 5\r\n\r\nhello world": false,
		"Content-Length: 50\r\n\r\nhello": false, "Status: x\r\n\r\n": false,
		"\r\n" + strings.Repeat("x", 200_000): true,
	} {
		t.Run(says[:min(len(says), 40)], func(t *testing.T) {
			var mu sync.Mutex
			conns := 0
			script := fastCGIApp(say(says))
			serveConn := script.ServeConn
			script.ServeConn = func(p *spawnertest.Process, c net.Conn) {
				mu.Lock()
				conns++
				mu.Unlock()
				serveConn(p, c)
			}

			serve(t, script, func(s *site) {
				for range 3 {
					s.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				}

				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				require.Equal(s, keeps, conns == 1, "%d connections", conns)
			})
		})
	}
}

// A process that gets more requests at once than it has workers must not wait on an idle connection.
func TestFastCGIConnectionsAreClosedWhereTheyWouldOccupyAWorker(t *testing.T) {
	for force, keeps := range map[int]bool{0: true, 1: true, 2: false, passenger.Unlimited: false} {
		var kept []bool
		script := fastCGIApp(func(r *fcgiproto.Request) error {
			kept = append(kept, r.KeepConn)
			return say("\r\nhello")(r)
		})

		var cfg handler.Config
		cfg.Options.ForceMaxConcurrentRequestsPerProcess = force
		serveConfig(t, script, cfg, func(s *site) {
			for range 2 {
				_, body := s.do(http.MethodGet, "/", "")
				require.Equal(s, "hello", body)
			}

			require.Equal(s, []bool{keeps, keeps}, kept, "%d", force)
		})
	}
}

func TestErrorsOfARequestGoToTheLogOfItsApplication(t *testing.T) {
	var mu sync.Mutex
	var lines []string

	script := fastCGIApp(func(r *fcgiproto.Request) error {
		if err := r.Stderr([]byte("PHP Warning: one\nPHP Warning: two")); err != nil {
			return err
		}

		return say("\r\nhello")(r)
	})
	script.Log = func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, string(line))
	}

	serve(t, script, func(s *site) {
		_, body := s.do(http.MethodGet, "/", "")
		require.Equal(s, "hello", body)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(s, []string{"PHP Warning: one", "PHP Warning: two"}, lines)
	})
}

// A script may respond with its whole length and work on: the client has its response, and the process is busy.
func TestFastCGIProcessIsBusyUntilItsRequestEnds(t *testing.T) {
	script := fastCGIApp(func(r *fcgiproto.Request) error {
		if err := r.Stdout([]byte("Content-Length: 5\r\n\r\nhello")); err != nil {
			return err
		}

		time.Sleep(time.Minute)

		return r.End(0, fcgiproto.RequestComplete)
	})

	serve(t, script, func(s *site) {
		began := time.Now()
		_, body := s.do(http.MethodGet, "/", "")
		require.Equal(s, "hello", body)
		require.Less(s, time.Since(began), time.Minute)
		require.Equal(s, 1, s.sessions())
		time.Sleep(2 * time.Minute)
		require.Zero(s, s.sessions())
	})
}

func TestFastCGIStreamsWhatComes(t *testing.T) {
	script := fastCGIApp(func(r *fcgiproto.Request) error {
		for _, piece := range []string{"Content-Type: text/event-stream\r\n\r\n", "one\n", "two\n"} {
			if err := r.Stdout([]byte(piece)); err != nil {
				return err
			}

			time.Sleep(time.Minute)
		}

		return r.End(0, fcgiproto.RequestComplete)
	})

	serve(t, script, func(s *site) {
		began := time.Now()
		resp, err := s.client().Get("http://example.com/")
		require.NoError(s, err)
		defer resp.Body.Close()

		first := make([]byte, 4)
		_, err = io.ReadFull(resp.Body, first)
		require.NoError(s, err)
		require.Equal(s, "one\n", string(first))
		require.Less(s, time.Since(began), 2*time.Minute)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		require.Equal(s, "two\n", string(rest))
	})
}

func TestRefusalsOfFastCGI(t *testing.T) {
	for status, want := range map[fcgiproto.ProtocolStatus]int{
		fcgiproto.Overloaded: 503, fcgiproto.CannotMultiplex: 502, fcgiproto.UnknownRole: 502,
	} {
		serve(t, fastCGIApp(func(r *fcgiproto.Request) error { return r.End(0, status) }), func(s *site) {
			resp, _ := s.do(http.MethodGet, "/", "")
			require.Equal(s, want, resp.StatusCode)
		})
	}
}

// A client that goes away has its request aborted, and its connection is not used again.
func TestFastCGIRequestOfAClientThatLeavesIsAborted(t *testing.T) {
	var sawEnd atomic.Bool
	script := spawnertest.Script{
		Protocol: loaderproto.FastCGI,
		ServeConn: func(_ *spawnertest.Process, c net.Conn) {
			app := fcgiproto.NewConn(c)
			r, err := app.Accept()
			if err != nil {
				return
			}

			_, _ = io.ReadAll(r.Stdin())
			_, err = io.Copy(io.Discard, c)
			sawEnd.Store(err == nil)
		},
	}

	serve(t, script, func(s *site) {
		conn, err := dial(s.Context(), s.listener)
		require.NoError(s, err)
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		require.NoError(s, err)
		synctest.Wait()
		require.Equal(s, 1, s.sessions())
		require.NoError(s, conn.Close())
		synctest.Wait()
		require.True(s, sawEnd.Load())
		require.Zero(s, s.sessions())
	})
}
