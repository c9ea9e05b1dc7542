package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// BenchmarkHandlerAlone is a request through the handler and the pool without a
// server, a system or an application: what is ours.
func BenchmarkHandlerAlone(b *testing.B) {
	for _, protocol := range []loaderproto.Protocol{loaderproto.Session, loaderproto.HTTPSession} {
		b.Run(string(protocol), func(b *testing.B) {
			pool, err := passenger.New(passenger.Config{Spawner: cannedFactory{protocol}})
			if err != nil {
				b.Fatal(err)
			}
			defer pool.Close()
			h, err := handler.New(pool, handler.Config{Options: passenger.Options{App: spawner.App{
				Root:      "/app",
				GroupName: "app",
			}}})
			if err != nil {
				b.Fatal(err)
			}

			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r := httptest.NewRequest(http.MethodGet, "/path?query", nil).WithContext(ctx)
			r.Header = http.Header{"User-Agent": {"bench"}, "Accept": {"*/*"}}
			w := &blankWriter{header: http.Header{}}
			b.ReportAllocs()

			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}

			if w.status != http.StatusOK || w.written != len(cannedBody) {
				b.Fatalf("the response has status %d and %d bytes", w.status, w.written)
			}
		})
	}
}

const cannedBody = "Hello, world!\n"

// cannedResponse is what Node.js says.
const cannedResponse = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n" +
	"Date: Tue, 24 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n" + cannedBody

type blankWriter struct {
	header  http.Header
	status  int
	written int
}

func (w *blankWriter) Header() http.Header    { return w.header }
func (w *blankWriter) WriteHeader(status int) { w.status, w.written = status, 0 }
func (w *blankWriter) Write(p []byte) (int, error) {
	w.written += len(p)
	return len(p), nil
}

// cannedConn responds to whatever is written.
type cannedConn struct{ response string }

func (c *cannedConn) Write(p []byte) (int, error) {
	c.response = cannedResponse
	return len(p), nil
}

func (c *cannedConn) Read(p []byte) (int, error) {
	if c.response == "" {
		return 0, io.EOF
	}

	n := copy(p, c.response)
	c.response = c.response[n:]

	return n, nil
}

func (*cannedConn) Close() error                     { return nil }
func (*cannedConn) LocalAddr() net.Addr              { return nil }
func (*cannedConn) RemoteAddr() net.Addr             { return nil }
func (*cannedConn) SetDeadline(time.Time) error      { return nil }
func (*cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (*cannedConn) SetWriteDeadline(time.Time) error { return nil }

type cannedFactory struct{ protocol loaderproto.Protocol }

func (f cannedFactory) NewSpawner(spawner.App) (spawner.Spawner, error) { return f, nil }
func (cannedFactory) Close() error                                      { return nil }

func (f cannedFactory) Spawn(context.Context) (spawner.Process, error) {
	return &cannedProcess{exited: make(chan struct{}), info: spawner.Info{
		PID:             1,
		GUPID:           "canned",
		ConnectPassword: "password",
		Sockets: []spawner.Socket{{
			Socket:           loaderproto.Socket{Name: "main", Protocol: f.protocol, Concurrency: 1},
			SessionKeepAlive: true,
			Dial:             func(context.Context) (net.Conn, error) { return &cannedConn{}, nil },
		}},
	}}, nil
}

type cannedProcess struct {
	info   spawner.Info
	exited chan struct{}
}

func (p *cannedProcess) Info() *spawner.Info     { return &p.info }
func (p *cannedProcess) Exited() <-chan struct{} { return p.exited }
func (*cannedProcess) ExitStatus() string        { return "" }
func (p *cannedProcess) Stop(context.Context)    { close(p.exited) }
