package handler_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// panicker is a writer, or a body, that panics in one of its methods.
type panicker struct {
	http.ResponseWriter
	io.ReadCloser
	in string
}

func (p *panicker) try(method string) {
	if p.in == method {
		panic("a fault in " + method)
	}
}

func (p *panicker) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *panicker) WriteHeader(status int) {
	p.try("WriteHeader")
	p.ResponseWriter.WriteHeader(status)
}

func (p *panicker) Write(b []byte) (int, error) {
	p.try("Write")
	return p.ResponseWriter.Write(b)
}

func (p *panicker) Read(b []byte) (int, error) {
	p.try("Read")
	return p.ReadCloser.Read(b)
}

// endings counts the requests that have ended, by their status.
type endings struct {
	passenger.NoObserver
	statuses []int
}

func (e *endings) RequestEnded(_ context.Context, event *passenger.RequestEvent) {
	e.statuses = append(e.statuses, event.Status)
}

// pages are small, large without a length, or streams of events that never end. Bodies are echoed where they come.
var pages = spawnertest.Script{Concurrency: 1, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/large":
		_ = http.NewResponseController(w).EnableFullDuplex()
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		_, _ = io.Copy(io.Discard, r.Body)
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")

		for http.NewResponseController(w).Flush() == nil {
			_, _ = io.WriteString(w, "data: x\n\n")
		}
	default:
		_, _ = io.Copy(w, r.Body)
	}
})}

// A panic of middleware surfaces where middleware can recover from it, and nothing of the request continues: the
// process takes the next request, no goroutine is left, and the response does not look whole.
func TestPanicOfAWriterOrBodyLeavesNothingBehind(t *testing.T) {
	for _, in := range []string{"WriteHeader", "Write", "Read"} {
		for _, path := range []string{"/", "/large", "/events"} {
			t.Run(in+path, func(t *testing.T) {
				bothWays(t, func(t *testing.T, cfg handler.Config) { panicIn(t, cfg, in, path) })
			})
		}
	}
}

func panicIn(t *testing.T, cfg handler.Config, in, path string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ended := &endings{}
		pool := spawnertest.NewPool(t, passenger.Config{
			Spawner:  spawnertest.New(pages),
			Observer: ended,
			Logger:   passenger.Silent(),
		})
		cfg.Options.App = spawner.App{Root: "/app"}
		h, err := handler.New(pool, cfg)
		require.NoError(t, err)

		for _, size := range []int{1, 1 << 20} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path,
				strings.NewReader(strings.Repeat("y", size)))
			r.Body = &panicker{ReadCloser: r.Body, in: in}

			got := make(chan any, 1)
			go func() {
				defer func() { got <- recover() }()
				h.ServeHTTP(&panicker{ResponseWriter: httptest.NewRecorder(), in: in}, r)
			}()

			require.Contains(t, fmt.Sprint(<-got), "a fault in "+in)
		}

		time.Sleep(time.Second) // the application's net/http closes connections in its own time
		synctest.Wait()
		require.Len(t, ended.statuses, 2)
		require.Empty(t, h.Inspect().Requests)

		for _, g := range pool.Inspect().Groups {
			for _, p := range g.Processes {
				require.Zero(t, p.Sessions)
			}
		}
	})
}

// Middleware that recovers must not make a part of a response look whole.
func TestRecoveredPanicOfAWriterCutsTheResponse(t *testing.T) {
	faulty := wrapping(func(w http.ResponseWriter) http.ResponseWriter { return &failing{ResponseWriter: w} })
	serveBehind(t, pages, handler.Config{Logger: passenger.Silent()}, chain(faulty, recovering), func(s *site) {
		c := s.client()
		defer c.CloseIdleConnections()
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com/large", http.NoBody)
		require.NoError(s, err)

		resp, err := c.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(s, resp.Body.Close())
		}

		require.Error(s, err)
	})
}

// failing panics at the third write.
type failing struct {
	http.ResponseWriter
	writes int
}

func (w *failing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *failing) Write(b []byte) (int, error) {
	if w.writes++; w.writes == 3 {
		panic("the third")
	}

	return w.ResponseWriter.Write(b)
}

// asserting is a writer like gin's: it takes for granted that the one below has all methods.
type asserting struct{ http.ResponseWriter }

func (w asserting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w asserting) Flush() {
	w.ResponseWriter.(http.Flusher).Flush() //nolint:forcetypeassert,errcheck // see above
}

func (w asserting) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack() //nolint:forcetypeassert,errcheck // see above
}

// With gin and echo in a http.TimeoutHandler, chunks ended the program, and large pages their connection.
func TestWriterThatPanicsWhereItCannotFlushOrHijackIsAsOneWithout(t *testing.T) {
	limited := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Hour, "") }
	asserts := wrapping(func(w http.ResponseWriter) http.ResponseWriter { return asserting{w} })
	serveBehind(t, pages, handler.Config{}, chain(asserts, limited), func(s *site) {
		resp, body := s.do(http.MethodGet, "/large", "")
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.Equal(s, 1<<20, len(body)) //nolint:testifylint // it would print the body
	})
	upgrading := replying("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	serveBehind(t, upgrading, handler.Config{Logger: passenger.Silent()}, chain(asserts, limited), func(s *site) {
		c := s.dial()
		defer c.Close()
		go func() { _, _ = io.WriteString(c, upgradeRequest) }()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(s, err)
		require.Equal(s, http.StatusInternalServerError, resp.StatusCode)
	})
}

// The logs are called when the response has begun, as observers are: their panic makes no part of it look whole, and a
// whole one stays whole.
func TestPanicOfALogMakesNoBrokenResponseLookWhole(t *testing.T) {
	const begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun,\r\n"

	panicking := funcr.New(func(string, string) { panic("a fault in the log") }, funcr.Options{Verbosity: 1})

	for name, cfg := range map[string]handler.Config{
		"log":        {Logger: panicking},
		"access log": {Logger: passenger.Silent(), AccessLog: panicking},
	} {
		for end, whole := range map[string]bool{"": false, "0\r\n\r\n": true} {
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
				t.Run(fmt.Sprintf("%s, %t, by %s", name, whole, version), func(t *testing.T) {
					app := scripted(func(_ *http.Request, c net.Conn) bool {
						_, _ = io.WriteString(c, begun+end)
						return true
					})
					serveBehind(t, app, cfg, swallowing, func(s *site) {
						body, err := s.getBy(version)
						require.Equal(s, whole, err == nil, "%q, %v", body, err)
						require.Zero(s, s.sessions())
					})
				})
			}
		}
	}
}

// swallowing recovers, and writes nothing.
func swallowing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		next.ServeHTTP(w, r)
	})
}
