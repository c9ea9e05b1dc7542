//go:build linux

package front_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/front"
	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
)

const patience = 20 * time.Second

// server is a Server, or net/http's alone.
type server struct {
	t     *testing.T
	http  *http.Server
	front *front.Server // nil without
	addr  string
	log   bytes.Buffer
	logMu sync.Mutex
	ended chan error
}

func (s *server) Write(p []byte) (int, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()

	return s.log.Write(p)
}

func (s *server) logged() string {
	s.logMu.Lock()
	defer s.logMu.Unlock()

	return s.log.String()
}

// start serves h: by a Server, or by net/http alone.
func start(t *testing.T, h http.HandlerFunc, standard bool, change ...func(*http.Server)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	s := &server{t: t, addr: l.Addr().String(), ended: make(chan error, 1)}
	errorLog := log.New(s, "", 0)
	guard := &headguard.Guard{Limits: httphead.Limits{Head: 20 << 10, Fields: 100}, ErrorLog: errorLog}

	s.http = &http.Server{
		Handler:           guard.Handler(h),
		ConnState:         guard.ConnState,
		ConnContext:       guard.ConnContext,
		ReadHeaderTimeout: patience,
		IdleTimeout:       patience,
		ErrorLog:          errorLog,
	}
	for _, f := range change {
		f(s.http)
	}

	if standard {
		go func() { s.ended <- s.http.Serve(guard.Listener(l, nil)) }()
	} else {
		s.front = &front.Server{HTTP: s.http, Guard: guard, Handler: h, ErrorLog: errorLog}
		go func() { s.ended <- s.front.Serve(l) }()
	}

	t.Cleanup(func() {
		_ = l.Close()
		require.ErrorIs(t, <-s.ended, net.ErrClosed)
		if s.front != nil {
			_ = s.front.Close()
		}

		_ = s.http.Close()
	})

	return s
}

func (s *server) dial() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	require.NoError(s.t, c.SetDeadline(time.Now().Add(patience)))

	tcp, ok := c.(*net.TCPConn)
	require.True(s.t, ok)

	return tcp
}

// exchange sends something and returns what comes until the server closes the connection.
func (s *server) exchange(input string) string {
	s.t.Helper()
	c := s.dial()
	_, err := io.WriteString(c, input)
	require.NoError(s.t, err)
	_ = c.CloseWrite()
	all, _ := io.ReadAll(c) // a reset ends it, too

	return string(all)
}

// show responds with what it sees of a request.
func show(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	text := fmt.Sprintf("%s %s %q %q %q\n", r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Host)

	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		text += fmt.Sprintf("%s: %q\n", name, r.Header[name])
	}

	text += fmt.Sprintf("%d %v %q %v %v\n", r.ContentLength, r.TransferEncoding, body, err, r.Close)

	switch r.URL.Query().Get("as") {
	case "flushed":
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, text)
	case "large":
		w.Header().Set("Content-Type", "text/plain")

		for range 3 {
			_, _ = io.WriteString(w, text+strings.Repeat("x", 100<<10))
		}
	case "long":
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = io.WriteString(w, text)
	case "short":
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, text)
	case "over":
		w.Header().Set("Content-Length", "3")
		_, err := io.WriteString(w, text)
		w.Header().Set("X-Late", fmt.Sprint(err))
	case "close":
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, text)
	case "204":
		w.WriteHeader(http.StatusNoContent)
		_, err := io.WriteString(w, text)
		if err == nil {
			panic("a body was accepted")
		}
	case "304":
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Etag", `"a"`)
		w.WriteHeader(http.StatusNotModified)
	case "599":
		w.Header()["x-small"] = []string{"a", "b\r\nc"}
		w.WriteHeader(599)
	case "103":
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-A", "b")
		_, _ = io.WriteString(w, text)
	case "untyped":
		w.Header()["Content-Type"] = nil
		w.Header()["Date"] = nil
		_, _ = io.WriteString(w, text)
	case "encoded":
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, text)
	case "nothing":
	case "abort":
		_, _ = io.WriteString(w, text)
		panic(http.ErrAbortHandler)
	default:
		_, _ = io.WriteString(w, text)
	}
}

var dates = regexp.MustCompile(`Date: [^\r]*\r\n`)

// comparable returns what two servers have to agree on: everything but the time, the order of fields, and how the end
// of a body is marked.
func comparable(raw, input string) string {
	var text strings.Builder

	for in := bufio.NewReader(strings.NewReader(dates.ReplaceAllString(raw, "Date: now\r\n"))); ; {
		var fields []string
		length, chunked := int64(-1), false

		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return text.String() + line
			}

			if line == "\r\n" {
				break
			}

			switch {
			case strings.HasPrefix(line, "HTTP/1.1 "):
				text.WriteString(line)
			case line == "Transfer-Encoding: chunked\r\n":
				chunked = true
			case strings.HasPrefix(line, "Content-Length: "):
				_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
			default:
				fields = append(fields, line)
			}
		}

		slices.Sort(fields)
		text.WriteString(strings.Join(fields, ""))

		var body io.Reader = strings.NewReader("")
		switch {
		case strings.HasPrefix(input, "HEAD "):
			fmt.Fprintln(&text, "length", length)
		case chunked:
			body = httputil.NewChunkedReader(in)
		case length >= 0:
			body = io.LimitReader(in, length)
		}

		n, err := io.Copy(&text, body)
		fmt.Fprintln(&text, "\nend of the body", err, length >= 0 && n < length)

		if chunked {
			_, _ = in.Discard(len("\r\n"))
		}
	}
}

// requireSame compares what two servers have sent to the same client.
func requireSame(t *testing.T, theirs, ours, input string) {
	t.Helper()

	theirs, ours = comparable(theirs, input), comparable(ours, input)
	require.Equal(t, clip(theirs), clip(ours))
	require.Len(t, ours, len(theirs), "they differ after more than a line can show")
}

// clip shortens what the failure of a test shows.
func clip(s string) string { return s[:min(len(s), 4000)] }
