package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

// BenchmarkHandler sends small requests through the handler to a Node.js
// application on a Unix socket, and through a tuned httputil.ReverseProxy to
// the same process. Clients keep their connections.
func BenchmarkHandler(b *testing.B) {
	if _, err := exec.LookPath("node"); err != nil {
		b.Skip("node is not installed")
	}

	root, err := filepath.Abs("testdata/node")
	if err != nil {
		b.Fatal(err)
	}

	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	if err != nil {
		b.Fatal(err)
	}
	defer factory.Close()
	pool, err := passenger.New(passenger.Config{Spawner: factory})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	options := passenger.Options{App: spawner.App{Root: root}, MaxProcesses: 1}
	session, err := pool.Get(context.Background(), &options)
	if err != nil {
		b.Fatal(err)
	}

	session.Close(passenger.KeepAlive)
	socket := pool.Inspect().Groups[0].Processes[0].Sockets[0].Address[len("unix:"):]
	ours, err := handler.New(pool, handler.Config{Options: options})
	if err != nil {
		b.Fatal(err)
	}

	fronts := []struct {
		name    string
		handler http.Handler
	}{
		{"reverseproxy", reverseProxy(socket)},
		{"passenger", ours},
	}
	for _, connections := range []int{1, 16, 64} {
		for _, front := range fronts {
			b.Run(fmt.Sprintf("%s/connections=%d", front.name, connections), func(b *testing.B) {
				load(b, front.handler, connections)
			})
		}
	}
}

// reverseProxy is what people write today, with what they find out later: a
// pool of connections that is large enough, and no compression of its own.
func reverseProxy(socket string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "app"
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		BufferPool: &buffers{},
	}
}

type buffers struct{ pool sync.Pool }

func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}

	return make([]byte, 32<<10)
}

func (p *buffers) Put(b []byte) { p.pool.Put(&b) }

// load sends b.N requests over n connections.
func load(b *testing.B, h http.Handler, connections int) {
	addr, server := listen(b, h)
	defer server.Close()

	clients := make([]*client, connections)
	for i := range clients {
		var err error
		if clients[i], err = dial(addr); err != nil {
			b.Fatal(err)
		}

		defer clients[i].conn.Close()
		if err := clients[i].get(); err != nil {
			b.Fatal(err)
		}
	}

	began := time.Now()
	inGoroutines(b, connections, func(b *testing.B, worker, _ int) {
		if err := clients[worker].get(); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "req/s")
}

// listen serves h on a free port of the loopback.
func listen(b *testing.B, h http.Handler) (addr string, server *http.Server) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}

	server = &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()

	return l.Addr().String(), server
}

// client is as cheap as a client can be, so that it takes little from what is
// measured.
type client struct {
	conn net.Conn
	br   *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}

	return &client{conn: c, br: bufio.NewReader(c)}, nil
}

var getRequest = []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")

func (c *client) get() error {
	if _, err := c.conn.Write(getRequest); err != nil {
		return err
	}

	var length int64
	for first := true; ; first = false {
		line, err := c.br.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && string(line) != "HTTP/1.1 200 OK\r\n":
			return fmt.Errorf("the response is %q", line)
		case len(line) > 16 && string(line[:16]) == "Content-Length: ":
			if _, err := fmt.Sscan(string(line[16:]), &length); err != nil {
				return err
			}
		case len(line) == 2:
			_, err := io.CopyN(io.Discard, c.br, length)
			return err
		}
	}
}
