package scgi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/internal/scgi"
)

const benchBody = "Hello, world!\n"

// BenchmarkServe is a request on a connection of its own, over a Unix socket, beside
// net/http, also with one connection for all, and net/http/fcgi.
func BenchmarkServe(b *testing.B) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, benchBody)
	})
	forSCGI := request("GET", "/path?query", "",
		"QUERY_STRING", "query", "CONTENT_TYPE", "", "DOCUMENT_ROOT", "/srv/shop/public", "SERVER_NAME",
		"shop.example.com", "SERVER_PORT", "80",
		"HTTP_HOST", "shop.example.com", "HTTP_USER_AGENT", "bench", "HTTP_ACCEPT", "*/*", "HTTP_ACCEPT_ENCODING",
		"gzip", "HTTP_COOKIE", "a=1; b=2")

	headers := "Host: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=1; " +
		"b=2\r\n"
	for name, c := range map[string]struct {
		serve     func(l net.Listener) (stop func())
		request   string
		keepAlive bool
	}{
		"scgi": {func(l net.Listener) func() {
			s := &scgi.Server{Handler: h}
			go func() { _ = s.Serve(l) }()
			return func() { _ = s.Shutdown(context.Background()) }
		}, forSCGI, false},
		"split": {func(l net.Listener) func() {
			s := &scgi.Server{Handler: h}
			forSCGI, forHTTP := scgi.Split(l)
			go func() { _ = s.Serve(forSCGI) }()

			return func() {
				_ = s.Shutdown(context.Background())
				_ = forHTTP.Close()
			}
		}, forSCGI, false},
		"http": {
			serveHTTP(h), "GET /path?query HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n",
			false,
		},
		"http-keep-alive": {serveHTTP(h), "GET /path?query HTTP/1.1\r\n" + headers + "\r\n", true},
		"fcgi": {func(l net.Listener) func() {
			go func() { _ = fcgi.Serve(l, h) }()
			return func() { _ = l.Close() }
		}, fcgiRequest(), false},
	} {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
			if err != nil {
				b.Fatal(err)
			}
			defer c.serve(l)()
			client := &benchClient{
				b:         b,
				addr:      l.Addr().String(),
				request:   c.request,
				keepAlive: c.keepAlive,
			}
			defer client.close()
			b.ReportAllocs()

			for b.Loop() {
				client.exchange()
			}
		})
	}
}

func serveHTTP(h http.Handler) func(net.Listener) func() {
	return func(l net.Listener) func() {
		s := &http.Server{Handler: h}
		go func() { _ = s.Serve(l) }()
		return func() { _ = s.Close() }
	}
}

type benchClient struct {
	b         *testing.B
	addr      string
	request   string
	keepAlive bool
	conn      net.Conn
	buf       [4096]byte
}

func (c *benchClient) exchange() {
	if c.conn == nil {
		conn, err := net.Dial("unix", c.addr)
		if err != nil {
			c.b.Fatal(err)
		}

		c.conn = conn
	}

	if _, err := io.WriteString(c.conn, c.request); err != nil {
		c.b.Fatal(err)
	}

	n := 0
	for {
		m, err := c.conn.Read(c.buf[n:])
		n += m
		if errors.Is(err, io.EOF) || c.keepAlive && strings.HasSuffix(string(c.buf[:n]), benchBody) {
			break
		}

		if err != nil {
			c.b.Fatal(err)
		}
	}

	if !strings.Contains(string(c.buf[:n]), benchBody) {
		c.b.Fatalf("the response is %q", c.buf[:n])
	}

	if !c.keepAlive {
		c.close()
	}
}

func (c *benchClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// fcgiRequest is one that lets the connection be closed.
func fcgiRequest() string {
	var out strings.Builder
	w := bufio.NewWriter(&out)
	record := func(kind byte, content string) {
		_, _ = w.WriteString(string([]byte{1, kind, 0, 1, byte(len(content) >> 8), byte(len(content)), 0, 0}) + content)
	}
	record(1, "\x00\x01\x00\x00\x00\x00\x00\x00") // begin, as a responder

	var params strings.Builder
	for _, p := range [][2]string{
		{"REQUEST_METHOD", "GET"},
		{"REQUEST_URI", "/path?query"},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"CONTENT_LENGTH", "0"},
		{"CONTENT_TYPE", ""},
		{"QUERY_STRING", "query"},
		{"DOCUMENT_ROOT", "/srv/shop/public"},
		{"SERVER_NAME", "shop.example.com"},
		{"SERVER_PORT", "80"},
		{"REMOTE_ADDR", "192.0.2.7"},
		{"REMOTE_PORT", "4711"},
		{"HTTP_HOST", "shop.example.com"},
		{"HTTP_USER_AGENT", "bench"},
		{"HTTP_ACCEPT", "*/*"},
		{"HTTP_ACCEPT_ENCODING", "gzip"},
		{"HTTP_COOKIE", "a=1; b=2"},
	} {
		params.WriteString(string([]byte{byte(len(p[0])), byte(len(p[1]))}) + p[0] + p[1])
	}

	record(4, params.String())
	record(4, "")
	record(5, "")
	_ = w.Flush()

	return out.String()
}
