package handler_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
)

// recovering is what gorilla's RecoveryHandler and gin's Recovery do: they swallow any
// panic, and respond if they can.
func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, "something went wrong")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// compressing ends its output in order, whatever happens.
func compressing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		zw := &zipWriter{ResponseWriter: w, zip: gzip.NewWriter(w)}
		defer zw.zip.Close()
		next.ServeHTTP(zw, r)
	})
}

type zipWriter struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (w *zipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *zipWriter) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Encoding", "gzip")
	w.ResponseWriter.WriteHeader(status)
}

func (w *zipWriter) Write(p []byte) (int, error) { return w.zip.Write(p) }

// oldFashioned is middleware from before http.ResponseController, whose writer can be
// flushed and hijacked, and no more.
func oldFashioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(oldWriter{w}, r)
	})
}

type oldWriter struct{ writer http.ResponseWriter }

func (w oldWriter) Header() http.Header         { return w.writer.Header() }
func (w oldWriter) WriteHeader(status int)      { w.writer.WriteHeader(status) }
func (w oldWriter) Write(p []byte) (int, error) { return w.writer.Write(p) }
func (w oldWriter) Flush()                      { _ = http.NewResponseController(w.writer).Flush() }

func (w oldWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.writer).Hijack()
}

func chain(middleware ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		for _, m := range middleware {
			next = m(next)
		}

		return next
	}
}

func TestResponseThatBreaksOffLooksBrokenWherePanicsAreSwallowed(t *testing.T) {
	for framing, head := range map[string]string{
		"chunks":   "Transfer-Encoding: chunked\r\n\r\n6\r\nbegun,\r\n",
		"a length": "Content-Length: 1000000\r\n\r\nbegun,",
		"events":   "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun,\r\n",
	} {
		for name, middleware := range map[string]func(http.Handler) http.Handler{
			"recovered":                    recovering,
			"recovered around compression": chain(compressing, recovering),
			"recovered below compression":  chain(recovering, compressing),
			"recovered, old-fashioned":     chain(recovering, oldFashioned),
			"old-fashioned and recovered":  chain(oldFashioned, recovering),
			"not recovered":                chain(),
		} {
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
				if version == "HTTP/2.0" && strings.Contains(name, "old-fashioned") {
					continue // it hijacks, which HTTP/2 does not know
				}

				t.Run(name+" with "+framing+" by "+version, func(t *testing.T) {
					app := scripted(func(_ *http.Request, c net.Conn) bool {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head)
						return true
					})
					serveBehind(t, app, handler.Config{}, middleware, func(s *site) {
						body, err := s.getBy(version)
						require.Error(s, err, "it has no end")
						require.NotContains(s, body, "went wrong", "nothing follows")
						require.Zero(s, s.sessions())
					})
				})
			}
		}
	}
}

// getBy returns what can be read of a response.
func (s *site) getBy(version string) (body string, err error) {
	tr := s.transport()
	tr.DisableCompression = true
	if version == "HTTP/2.0" {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}

	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://example.com/", http.NoBody)
	require.NoError(s, err)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return "", err
	}

	b, err := io.ReadAll(resp.Body)

	return string(b), errors.Join(err, resp.Body.Close())
}

// A client by HTTP/1.0, as web servers are, sees the end of the connection at the end of
// a response of unknown length: only a reset tells it that there should be more.
func TestResponseByHTTP10ThatBreaksOffIsReset(t *testing.T) {
	app := scripted(func(_ *http.Request, c net.Conn) bool {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun,\r\n")
		return true
	})
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"recovered":     recovering,
		"not recovered": chain(),
	} {
		t.Run(name, func(t *testing.T) {
			serveBehind(t, app, handler.Config{}, middleware, func(s *site) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(s, err)
				server := &http.Server{Handler: s.front}
				served := make(chan error, 1)
				go func() { served <- server.Serve(l) }()
				defer func() {
					require.NoError(s, server.Close())
					require.ErrorIs(s, <-served, http.ErrServerClosed)
				}()

				c, err := net.Dial("tcp", l.Addr().String())
				require.NoError(s, err)
				defer c.Close()
				_, err = io.WriteString(c, "GET / HTTP/1.0\r\nHost: x\r\n\r\n")
				require.NoError(s, err)
				_, err = io.ReadAll(bufio.NewReader(c))
				require.ErrorContains(s, err, "reset")
			})
		})
	}
}
