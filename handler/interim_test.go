package handler_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gopassenger/passenger/handler"
)

// onceWriter is what loggers of requests have: the first status is that of the response.
type onceWriter struct {
	http.ResponseWriter
	status int
}

func (w *onceWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// onceUnwrapping is one for [http.ResponseController], as echo's.
type onceUnwrapping struct{ onceWriter }

func (w *onceUnwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hinting sends an early hint, and then a page that is not found.
func hinting(_ *http.Request, c net.Conn) bool { return hint(c, "</style.css>") }

func hint(c io.Writer, link string) (closing bool) {
	_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: "+link+"\r\n\r\n"+
		"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")

	return true
}

// hints are the links of the interim responses to a request.
func (s *site) hints(second bool) (status int, links []string) {
	s.Helper()
	tr := s.transport()
	defer tr.CloseIdleConnections()

	if second {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}

	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		links = append(links, h.Get("Link"))
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(s.Context(), trace), http.MethodGet,
		"http://example.com/", http.NoBody)
	require.NoError(s, err)
	resp, err := tr.RoundTrip(r)
	require.NoError(s, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	require.Equal(s, "none", string(body))
	require.Empty(s, resp.Header.Get("Link"), "hints are not part of the response")

	return resp.StatusCode, links
}

// Middleware that takes the first status for that of the response made 200 of 404, or cut the response.
func TestMiddlewareDoesNotTakeEarlyHintsForTheResponse(t *testing.T) {
	for name, test := range map[string]struct {
		around func(http.Handler) http.Handler
		// hinted reports whether the client gets the hints.
		hinted bool
	}{
		"none":                {func(h http.Handler) http.Handler { return h }, true},
		"http.TimeoutHandler": {func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Hour, "") }, false},
		"the first status": {wrapping(func(w http.ResponseWriter) http.ResponseWriter {
			return &onceWriter{ResponseWriter: w}
		}), false},
		"the first status, with Unwrap": {wrapping(func(w http.ResponseWriter) http.ResponseWriter {
			return &onceUnwrapping{onceWriter{ResponseWriter: w}}
		}), true},
	} {
		t.Run(name, func(t *testing.T) {
			serveBehind(t, scripted(hinting), handler.Config{}, test.around, func(s *site) {
				for _, second := range []bool{false, true} {
					status, links := s.hints(second)
					require.Equal(s, http.StatusNotFound, status)

					want := []string(nil)
					if test.hinted {
						want = []string{"</style.css>"}
					}

					require.Equal(s, want, links, fmt.Sprint("HTTP/2: ", second))
				}
			})
		})
	}
}

func wrapping(wrap func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrap(w), r) })
	}
}

// The recorder takes the first status, too.
func TestRecorderGetsTheResponseBehindEarlyHints(t *testing.T) {
	serve(t, scripted(hinting), func(s *site) {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequestWithContext(s.Context(), http.MethodGet, "/", http.NoBody))
		require.Equal(s, http.StatusNotFound, w.Code)
	})
}

// net/http writes the fields of an interim response in another goroutine, which may do so still when the client has
// reset the stream: a change of them meanwhile would end the program.
func TestEarlyHintsAreNoRaceWhenTheClientResetsItsStream(t *testing.T) {
	// More than the server's buffer takes.
	app := scripted(func(_ *http.Request, c net.Conn) bool { return hint(c, strings.Repeat("x", 16<<10)) })
	serve(t, app, func(s *site) {
		c := s.dial()
		defer c.Close()

		// The client takes the server's settings, and then nothing.
		framer := http2.NewFramer(c, c)
		_, err := io.WriteString(c, http2.ClientPreface)
		require.NoError(s, err)
		written := make(chan error, 1)
		go func() { written <- framer.WriteSettings() }()

		for range 3 {
			_, err := framer.ReadFrame()
			require.NoError(s, err)
		}

		require.NoError(s, <-written)

		var head bytes.Buffer

		encoder := hpack.NewEncoder(&head)
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "GET"},
			{Name: ":scheme", Value: "http"},
			{Name: ":path", Value: "/"},
			{Name: ":authority", Value: "example.com"},
		} {
			require.NoError(s, encoder.WriteField(f))
		}

		require.NoError(s, framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID:      1,
			BlockFragment: head.Bytes(),
			EndStream:     true,
			EndHeaders:    true,
		}))

		// Until the server writes the hint; synctest.Wait would order the two for the race detector.
		time.Sleep(time.Second)
		require.NoError(s, framer.WriteRSTStream(1, http2.ErrCodeCancel))
		synctest.Wait()
	})
}
