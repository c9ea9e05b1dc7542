//go:build linux

package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// client asks a server.
type client struct {
	*http.Client
	base string
}

// client returns one with connections of its own.
func (s *server) client(t testing.TB, options ...func(*http.Transport)) *client {
	t.Helper()

	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	for _, option := range options {
		option(transport)
	}

	t.Cleanup(transport.CloseIdleConnections)

	return &client{base: "http://" + s.addr, Client: &http.Client{Transport: transport, Timeout: deadline}}
}

// http2 makes a client speak HTTP/2, without TLS, and nothing else.
func http2(t *http.Transport) {
	t.Protocols = new(http.Protocols)
	t.Protocols.SetUnencryptedHTTP2(true)
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body string
}

func (c *client) request(ctx context.Context, t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.base+target, body)
	require.NoError(t, err)

	return r
}

func (c *client) get(t testing.TB, target string) *reply {
	t.Helper()
	a, err := c.do(c.request(t.Context(), t, http.MethodGet, target, nil))
	require.NoError(t, err)

	return a
}

// requireOK gets the body of a response with status 200.
func (c *client) requireOK(t testing.TB, target string) string {
	t.Helper()
	a := c.get(t, target)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)

	return a.body
}

func (c *client) post(t testing.TB, target string, body io.Reader) *reply {
	t.Helper()
	a, err := c.do(c.request(t.Context(), t, http.MethodPost, target, body))
	require.NoError(t, err)

	return a
}

func (c *client) do(r *http.Request) (*reply, error) {
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}

	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return nil, err
	}

	return &reply{Response: resp, body: b.String()}, nil
}

// fetched is what background asked for.
type fetched struct {
	*reply
	err error
}

// background asks without waiting.
func (c *client) background(ctx context.Context, t testing.TB, target string) <-chan fetched {
	t.Helper()
	r := c.request(ctx, t, http.MethodGet, target, nil)
	ch := make(chan fetched, 1)
	go func() {
		a, err := c.do(r)
		ch <- fetched{a, err}
	}()

	return ch
}

// raw is a connection on which a test says what it wants, byte by byte.
type raw struct {
	*net.TCPConn
	t  testing.TB
	in *bufio.Reader
}

// dial connects, and says something.
func (s *server) dial(t testing.TB, text string) *raw {
	t.Helper()
	c := s.dialWith(t, &net.Dialer{})
	c.say(text)

	return c
}

// smallWindow makes connections on which little is under way: the size of the
// segments has an influence on the size of the server's buffer.
var smallWindow = &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536),
		)
	})

	return errors.Join(err, controlErr)
}}

func (s *server) dialWith(t testing.TB, d *net.Dialer) *raw {
	t.Helper()
	conn, err := d.DialContext(t.Context(), "tcp", s.addr)
	require.NoError(t, err)
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	t.Cleanup(func() { _ = tcp.Close() })
	require.NoError(t, tcp.SetDeadline(time.Now().Add(deadline)))

	return &raw{TCPConn: tcp, t: t, in: bufio.NewReader(tcp)}
}

func (c *raw) say(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(c.t, err)
}

// reply reads a response to its end.
func (c *raw) reply() *reply {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err)
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(c.t, err)

	return &reply{Response: resp, body: b.String()}
}

// rest reads up to where the server closes the connection.
func (c *raw) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.in)
	require.NoError(c.t, err)

	return string(b)
}

// reset ends the connection with RST.
func (c *raw) reset() {
	c.t.Helper()
	require.NoError(c.t, c.SetLinger(0))
	require.NoError(c.t, c.Close())
}

// dialUnix is for a client of what listens on a Unix socket.
func dialUnix(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
}
