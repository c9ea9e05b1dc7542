package scgi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/scgi"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/logged"
)

func TestMain(m *testing.M) { os.Exit(leakgate.Package(m.Run)) }

const patience = 20 * time.Second

// stand is a server on a Unix socket.
type stand struct {
	*scgi.Server
	t      testing.TB
	path   string
	log    logged.Buffer
	served chan error
}

// newStand returns one that is not started, so that it can be changed.
func newStand(t testing.TB, h http.HandlerFunc) *stand {
	t.Helper()
	s := &stand{t: t, path: filepath.Join(t.TempDir(), "s"), served: make(chan error, 1)}
	s.Server = &scgi.Server{Handler: h, Logger: s.log.Logger()}

	return s
}

func (s *stand) listen() net.Listener {
	s.t.Helper()
	l, err := net.Listen("unix", s.path)
	require.NoError(s.t, err)
	require.NoError(s.t, os.Chmod(s.path, 0o666))

	return l
}

func (s *stand) serve(l net.Listener) {
	s.t.Helper()
	go func() { s.served <- s.Serve(l) }()
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			s.t.Errorf("the server does not end: %v", err)
			_ = s.Close()
		}

		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("Serve: %v", err)
		}
	})
}

func start(t testing.TB, h http.HandlerFunc) *stand {
	t.Helper()
	s := newStand(t, h)
	s.serve(s.listen())

	return s
}

func (s *stand) dial() net.Conn {
	s.t.Helper()
	return dial(s.t, "unix", s.path)
}

func dial(t testing.TB, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))

	return c
}

// say sends something and returns all of what comes back.
func (s *stand) say(text string) (string, error) {
	s.t.Helper()
	c := s.dial()
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}

	b, err := io.ReadAll(c)

	return string(b), err
}

func (s *stand) requireReply(text string) *reply {
	s.t.Helper()
	raw, err := s.say(text)
	require.NoError(s.t, err)

	return parseReply(s.t, raw)
}

type reply struct {
	status string
	header http.Header
	body   string
}

func parseReply(t testing.TB, raw string) *reply {
	t.Helper()
	head, body, ok := strings.Cut(raw, "\r\n\r\n")
	require.True(t, ok, "no head in %q", raw)

	a := &reply{header: http.Header{}, body: body}
	for i, line := range strings.Split(head, "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		require.True(t, ok, "the line %q", line)
		if i == 0 {
			require.Equal(t, "Status", name)
			a.status = value
			continue
		}

		a.header.Add(name, value)
	}

	return a
}

// head is a list of names and values.
func head(params ...string) string { return strings.Join(params, "\x00") + "\x00" }

// frame makes a request of a head and a body.
func frame(head, body string) string {
	return strconv.Itoa(len(head)) + ":" + head + "," + body
}

// request is a good one, with more parameters.
func request(method, target, body string, more ...string) string {
	params := append([]string{
		"CONTENT_LENGTH", strconv.Itoa(len(body)), "SCGI", "1", "REQUEST_METHOD", method, "REQUEST_URI", target,
		"SERVER_PROTOCOL", "HTTP/1.1", "REMOTE_ADDR", "192.0.2.7", "REMOTE_PORT", "4711",
	}, more...)

	return frame(head(params...), body)
}

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	half, ok := c.(interface{ CloseWrite() error })
	require.True(t, ok)
	require.NoError(t, half.CloseWrite())
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// receive fails after a while.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()

	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing has come")
	}

	panic("unreachable")
}
