package handler_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
)

// lines are the header lines of a response, or a request, as they are.
func lines(head string) []string {
	head, _, _ = strings.Cut(head, "\r\n\r\n")
	return strings.Split(head, "\r\n")[1:]
}

const plainGet = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

func TestNamesOfResponsesKeepTheApplicationsSpelling(t *testing.T) {
	spelled := []string{
		"ETag: \"1\"", "WWW-Authenticate: Basic", "X-API-Version: 7", "x-runtime: 0.1", "X-XSS-Protection: 0",
		"SOURCEMAP: /a.map",
	}
	app := replying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\nvary: " +
		"Origin\r\nset-cookie: a=b\r\n" +
		strings.Join(spelled, "\r\n") + "\r\nwww-authenticate: Digest\r\n\r\nok")
	serve(t, app, func(s *site) {
		response := s.raw(plainGet)

		got := lines(response)
		for _, line := range spelled {
			require.Contains(s, got, line)
		}

		require.Contains(s, got, "WWW-Authenticate: Digest", "as the first of them")

		for _, line := range []string{
			"Content-Length: 2", "Content-Type: text/plain", "Vary: Origin",
			"Set-Cookie: a=b",
		} {
			require.Contains(s, got, line,
				"what net/http and middleware look for is as they look for it, which is the usual spelling")
		}

		names := map[string]int{}
		for _, line := range got {
			name, _, _ := strings.Cut(line, ":")
			names[strings.ToLower(name)]++
		}

		for name, times := range names {
			require.Equal(s, map[bool]int{true: 2, false: 1}[name == "www-authenticate"], times, name)
		}

		c := s.transport()
		c.Protocols = new(http.Protocols)
		c.Protocols.SetUnencryptedHTTP2(true)
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com/", http.NoBody)
		require.NoError(s, err)
		resp, err := c.RoundTrip(r)
		require.NoError(s, err)
		require.NoError(s, resp.Body.Close())
		require.Equal(s, `"1"`, resp.Header.Get("ETag"), "HTTP/2 has small letters")
		require.Equal(s, []string{"Basic", "Digest"}, resp.Header.Values("WWW-Authenticate"))
	})
}

func TestNamesOfCachedResponsesKeepTheirSpelling(t *testing.T) {
	asked := 0
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		asked++
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncache-control: public, "+
			"max-age=60\r\nETag: \"1\"\r\nX-API-Version: 7\r\n\r\nok")

		return false
	})
	serve(t, app, func(s *site) {
		for range 3 {
			got := lines(s.raw(plainGet))
			require.Contains(s, got, `ETag: "1"`)
			require.Contains(s, got, "X-API-Version: 7")
			require.Contains(s, got, "Cache-Control: public, max-age=60")
		}

		require.Equal(s, 1, asked)
	})
}

func TestNamesOfAFilesResponseKeepTheirSpelling(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "f"), []byte("file"), 0o644))
	app := replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Sendfile: " + filepath.Join(root, "f") +
		"\r\nETag: \"1\"\r\nX-API-Version: 7\r\n\r\n")
	serveConfig(t, app, handler.Config{Sendfile: handler.Sendfile{Roots: []string{root}}}, func(s *site) {
		got := lines(s.raw(plainGet))
		require.Contains(s, got, `ETag: "1"`)
		require.Contains(s, got, "X-API-Version: 7")
		response := s.raw(strings.Replace(plainGet, "\r\n\r\n", "\r\nIf-None-Match: \"1\"\r\n\r\n", 1))
		require.Contains(s, response, " 304 ", "it counts")
	})
}

// Middleware that looks at the header finds what it looks for, and no field is there twice.
func TestMiddlewareFindsNamesThatTheApplicationSpells(t *testing.T) {
	app := replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"1\"\r\n" +
		"cache-control: no-cache\r\nx-runtime: 1\r\nX-FRAME-OPTIONS: SAMEORIGIN\r\nX-XSS-Protection: 1\r\n\r\nok")
	var during, after http.Header
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Frame-Options", "DENY")
			w.Header()["X-XSS-PROTECTION"] = []string{"0"}
			next.ServeHTTP(&headerWatch{w, &during}, r)
			after = w.Header().Clone()
		})
	}
	serveBehind(t, app, handler.Config{}, middleware, func(s *site) {
		response := s.raw(plainGet)
		for _, h := range []http.Header{during, after} {
			require.Equal(s, `"1"`, h.Get("ETag"))
			require.Equal(s, "no-cache", h.Get("Cache-Control"))
			require.Equal(s, "1", h.Get("X-Runtime"))
		}

		require.Equal(s, []string{"SAMEORIGIN"}, after["X-Frame-Options"])

		folded := strings.ToLower(response)
		for _, name := range []string{"x-frame-options", "x-xss-protection", "etag", "x-runtime"} {
			require.Equal(s, 1, strings.Count(folded, "\r\n"+name+": "), name)
		}
	})

	// Without a writer of its own, middleware looks afterwards.
	direct := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			after = w.Header().Clone()
		})
	}
	serveBehind(t, app, handler.Config{}, direct, func(s *site) {
		require.Contains(s, lines(s.raw(plainGet)), `ETag: "1"`)
		require.Equal(s, `"1"`, after.Get("ETag"))
	})
}

type headerWatch struct {
	http.ResponseWriter
	during *http.Header
}

func (w *headerWatch) WriteHeader(status int) {
	*w.during = w.Header().Clone()
	w.ResponseWriter.WriteHeader(status)
}

func TestWebSocketsHeadersHaveTheUsualSpelling(t *testing.T) {
	var got string
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
		return true
	})
	const ask = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: " +
		"dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"sec-websocket-version: 13\r\nSEC-WEBSOCKET-PROTOCOL: chat\r\nDNT: 1\r\nX-CSRF-Token: t\r\nSec-CH-UA: " +
		"\"x\"\r\nSOAPAction: a\r\n\r\n"
	serve(t, app, func(s *site) {
		resp := lines(s.raw(ask))
		require.Contains(s, resp, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		require.Contains(s, resp, "Sec-WebSocket-Protocol: chat")
	})
	serve(t, recordingHTTP(&got), func(s *site) {
		c := s.dial()
		defer c.Close()
		go func() { _, _ = io.WriteString(c, ask) }()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(s, err)
		require.NoError(s, resp.Body.Close())

		request := lines(got)
		for _, line := range []string{
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: chat",
			"DNT: 1",
			"X-CSRF-Token: t", `Sec-CH-UA: "x"`, "SOAPAction: a",
		} {
			require.Contains(s, request, line)
		}
	})
}
