package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// client asks a server, and follows no redirects.
type client struct {
	*http.Client
	base string
}

// client returns one with connections of its own.
func (s *server) client(t testing.TB, options ...func(*http.Transport)) *client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	c := &client{base: s.url, Client: &http.Client{
		Transport: transport, Timeout: deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(s.url, "unix:"); ok {
		c.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}

	for _, option := range options {
		option(transport)
	}

	t.Cleanup(transport.CloseIdleConnections)

	return c
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

func (c *client) request(t testing.TB, method, target string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.base+target, body)
	require.NoError(t, err)

	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}

	return r
}

// ask sends a request with headers as name, value.
func (c *client) ask(t testing.TB, method, target string, body io.Reader, header ...string) *reply {
	t.Helper()
	a, err := c.do(c.request(t, method, target, body, header...))
	require.NoError(t, err)

	return a
}

func (c *client) get(t testing.TB, target string, header ...string) *reply {
	t.Helper()
	return c.ask(t, http.MethodGet, target, nil, header...)
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
func (c *client) background(t testing.TB, target string, traces ...*httptrace.ClientTrace) <-chan fetched {
	t.Helper()

	r := c.request(t, http.MethodGet, target, nil)
	for _, trace := range traces {
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	}

	ch := make(chan fetched, 1)
	go func() {
		a, err := c.do(r)
		ch <- fetched{a, err}
	}()

	return ch
}
