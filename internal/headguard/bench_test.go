package headguard_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/rawsock"
)

// BenchmarkRequest is a request as browsers send it to a server that responds at once,
// beside the same server without a guard.
func BenchmarkRequest(b *testing.B) {
	request := "GET /articles/42?page=2 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux " +
		"x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: " +
		"en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Connection: keep-alive\r\nCookie: session=" + strings.Repeat("abcdef0123456789", 30) + "\r\n\r\n"
	for _, guarded := range []bool{false, true} {
		name := map[bool]string{false: "net/http", true: "guarded"}[guarded]
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}

			guard := &headguard.Guard{Limits: httphead.Limits{Head: 64 << 10, Fields: 1000}}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_,
					_ = io.WriteString(w, "hello")
			})}
			listener := rawsock.Listener(l)
			if guarded {
				server.Handler, server.ConnState, server.ConnContext = guard.Handler(server.Handler), guard.ConnState,
					guard.ConnContext
				listener = guard.Listener(listener, nil)
			}

			go func() { _ = server.Serve(listener) }()
			defer server.Close()

			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			br := bufio.NewReader(c)
			b.ReportAllocs()

			for b.Loop() {
				if _, err := io.WriteString(c, request); err != nil {
					b.Fatal(err)
				}

				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					b.Fatal(err)
				}

				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
}
