package loaders_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/sessionproto"
)

// What every loader that speaks the session protocol has to do.

// requireKeepAlive checks what the feature session_keep_alive promises.
func requireKeepAlive(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	require.Equal(t, []string{loaderproto.FeatureSessionKeepAlive}, p.ready.Features)

	// An idle connection, a silent one and one in the middle of a header keep
	// the process from nothing.
	idle, silent, slow := p.session(t), p.session(t), p.session(t)
	require.Equal(t, "ignored", idle.get(t, "/ignore_body").body)
	request := header(t, "GET", "/ignore_body", nil)
	slow.write(t, request[:10])
	require.Equal(t, "ignored", p.get(t, "/ignore_body").body)
	slow.write(t, request[10:])
	require.Equal(t, "ignored", slow.read(t, "GET").body)
	require.Equal(t, "ignored", silent.get(t, "/ignore_body").body)

	// The next request is found after a body that was read, left unread, or
	// sent together with it.
	s := p.session(t)
	for range 3 {
		require.Equal(t, "read", s.post(t, "/echo", "read").body)
		require.Equal(t, "ignored", s.post(t, "/ignore_body", strings.Repeat("x", 200<<10)).body)
	}

	s.write(t, header(t, "POST", "/echo", vars{"CONTENT_LENGTH": "3"}), []byte("one"),
		header(t, "POST", "/ignore_body", vars{"CONTENT_LENGTH": "3"}), []byte("two"), request)
	require.Equal(t, "one", s.read(t, "POST").body)
	require.Equal(t, "ignored", s.read(t, "POST").body)
	require.Equal(t, "ignored", s.read(t, "GET").body)

	// A body that arrives after the response is not waited for.
	s.write(t, header(t, "POST", "/ignore_body", vars{"CONTENT_LENGTH": "3"}))
	r := s.read(t, "POST")
	require.False(t, r.Close)
	require.Equal(t, "ignored", p.get(t, "/ignore_body").body)
	s.write(t, []byte("two"), request)
	require.Equal(t, "ignored", s.read(t, "GET").body)

	// Too much to drain: the response arrives, the connection is closed.
	s = p.session(t)
	s.write(t, header(t, "POST", "/ignore_body", vars{"CONTENT_LENGTH": strconv.Itoa(1 << 20)}), make([]byte, 1<<10))
	r = s.read(t, "POST")
	require.True(t, r.Close)
	require.Equal(t, "ignored", r.body)
	s.requireClosed(t)
	require.Equal(t, "ignored", p.get(t, "/ignore_body").body)
}

// requireSeparateRequests checks that requests share what they are received into, and
// nothing else.
func requireSeparateRequests(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	s, other := p.session(t), p.session(t)

	for _, size := range []int{100, 24, 23, 1, 0, 70_000, 3} {
		body := strings.Repeat("x", size)
		require.Equal(t, body, s.post(t, "/echo", body).body)
		require.Empty(t, s.get(t, "/echo").body)
	}

	// What has come of the next request outlives requests of other connections.
	next := header(t, "POST", "/echo", vars{"CONTENT_LENGTH": "5", "HTTP_X_LONG": strings.Repeat("y", 300)})
	for _, cut := range []int{0, 1, 4, 50, len(next) - 1} {
		s.write(t, header(t, "POST", "/echo", vars{"CONTENT_LENGTH": "3"}), []byte("one"), next[:cut])
		require.Equal(t, "one", s.read(t, "POST").body)
		require.Equal(t, "another", other.post(t, "/echo", "another").body)
		s.write(t, next[cut:], []byte("later"))
		require.Equal(t, "later", s.read(t, "POST").body)
	}
}

// requireLateFailures checks that a connection stays, as the response has said, where the
// application fails behind the end of it: another client's request may be on its way.
func requireLateFailures(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()

	for _, c := range []struct{ method, uri string }{
		{"GET", "/fail_after_length"},
		{"GET", "/fail_to_close"},
		{"GET", "/fail_to_close_array"},
		{"GET", "/fail_to_close_file"},
		{"HEAD", "/fail_after_length"},
		{"HEAD", "/fail_to_close"},
	} {
		s := p.session(t)
		s.write(t, header(t, c.method, c.uri, nil))
		r := s.read(t, c.method)
		require.Equal(t, 200, r.StatusCode, c.uri)
		require.False(t, r.Close, c.uri)
		require.Equal(t, "next", s.post(t, "/echo", "next").body, "%s %s", c.method, c.uri)
	}

	p.out.await(t, "it fails late")
}

// requireBoundedNames checks that names of headers that an application makes up are sent, and
// not all kept.
func requireBoundedNames(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	s := p.session(t)

	for n := range 300 {
		name := "X-Name-" + strconv.Itoa(n)
		for range 2 {
			require.Equal(t, "made up", s.get(t, "/header_name?"+name).Header.Get(name))
		}
	}

	kept, err := strconv.Atoi(s.get(t, "/known_names").body)
	require.NoError(t, err)
	require.LessOrEqual(t, kept, 256)
}

func requireControl(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()

	for _, c := range []struct {
		request func(string) ([]byte, error)
		want    string
	}{{sessionproto.Ping, sessionproto.PingReply}, {sessionproto.OOBW, sessionproto.OOBWReply}} {
		s := p.session(t)
		b, err := c.request(password)
		require.NoError(t, err)
		s.write(t, b)
		require.Equal(t, c.want, s.raw(t))

		s = p.session(t)
		b, err = c.request("wrong")
		require.NoError(t, err)
		s.write(t, b)
		s.requireClosed(t)
	}

	// Clients that use the methods reach the application.
	for _, method := range []string{sessionproto.MethodPing, sessionproto.MethodOOBW} {
		s := p.session(t)
		s.write(t, header(t, method, "/ignore_body", nil))
		require.Equal(t, "ignored", s.read(t, method).body)
	}
}

func requirePassword(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()

	for _, wrong := range []string{"", "wrong", password[:5], password + "x"} {
		s := p.session(t)
		s.write(t, header(t, "GET", "/ignore_body", vars{"PASSENGER_CONNECT_PASSWORD": wrong}))
		s.requireClosed(t)
	}

	p.out.await(t, "refused a request with a wrong connect password")
	require.NotContains(t, p.out.String(), password)
	require.NotContains(t, p.get(t, "/show_env").body, password)

	// Garbage gets the same response.
	s := p.session(t)
	s.write(t, []byte("GET / HTTP/1.1\r\n\r\n"))
	s.requireClosed(t)
	p.out.await(t, "is larger than")
}

// requireClientGone checks that a client may go away at any time.
func requireClientGone(t *testing.T, p *process, body string) {
	t.Helper()
	t.Parallel()

	for _, uri := range []string{"/endless", "/endless", "/echo"} {
		s := p.session(t)
		s.write(t, header(t, "POST", uri, vars{"CONTENT_LENGTH": "100"}), []byte("x"))
		if uri == "/endless" {
			_, err := s.br.ReadByte()
			require.NoError(t, err)
		}

		require.NoError(t, s.Close())
	}

	s := p.session(t)
	s.write(t, header(t, "GET", "/pid", nil)[:7])
	require.NoError(t, s.Close())
	require.Equal(t, strconv.Itoa(p.cmd.Process.Pid), p.get(t, "/pid").body)
	require.JSONEq(t, `["`+body+`", "`+body+`"]`, p.get(t, "/which_closed").body)
	require.NotContains(t, p.out.String(), "Error")
	require.NotContains(t, p.out.String(), "Traceback")
	require.NotContains(t, p.out.String(), "client")
}

// waitForFIFO sends a request that waits until the FIFO is written to.
func (p *process) waitForFIFO(t *testing.T) (s *session, fifo string) {
	t.Helper()
	fifo = filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	s = p.session(t)
	s.write(t, header(t, "GET", "/wait?"+fifo, nil))
	p.out.await(t, "waiting")

	return s, fifo
}

// requireGracefulStop checks that the request in hand is finished.
func requireGracefulStop(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	s, fifo := p.waitForFIFO(t)
	p.closeStdin(t)
	require.NoError(t, os.WriteFile(fifo, []byte("finished"), 0o600))
	require.Equal(t, "finished", s.read(t, "GET").body)
	require.Zero(t, p.exitCode(t))
}

// requireEndBySIGTERM checks that the request in hand is finished, although the signal comes from elsewhere, and that a
// second one does not wait.
func requireEndBySIGTERM(t *testing.T, p *process) {
	t.Helper()
	t.Parallel()
	s, fifo := p.waitForFIFO(t)
	// When the application reads: Ruby does not open a file again that a signal has interrupted.
	open, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_, err = open.WriteString("finished")
	require.NoError(t, err)
	require.NoError(t, open.Close())
	require.Equal(t, "finished", s.read(t, "GET").body)
	require.Zero(t, p.exitCode(t))
}
