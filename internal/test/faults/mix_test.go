//go:build linux

package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

const (
	// mixRounds is how often a client does its work in a short run, mixTime for how long in a long one.
	mixRounds = 15
	mixTime   = 3 * time.Minute
	// mixMemory is what the server may take for all of them, in MB.
	mixMemory = 200
)

// mixed is one kind of client. It says what is wrong in a round.
type mixed struct {
	name string
	work func(ctx context.Context, round int) error
}

// mix is what clients share.
type mix struct {
	s              *server
	kept, fresh, h *client // kept connections, one for each request, and HTTP/2
	body           string
}

// Clients of all kinds side by side, good and bad ones: each good request gets its own response, and in the end the
// server has what it had at the beginning.
// Faults: P8, D4, D6.
func TestClientsOfAllKindsSideBySide(t *testing.T) {
	const processes, concurrency = 4, 4
	args := append(testApp(t), "--max-pool-size", strconv.Itoa(processes), "--envvar",
		concurrencyVar+"="+strconv.Itoa(concurrency))
	s := (&launch{app: site(t), args: args}).start(t)
	m := &mix{
		s:     s,
		kept:  s.client(t),
		fresh: s.client(t, func(tr *http.Transport) { tr.DisableKeepAlives = true }),
		h:     s.client(t, http2),
		body:  strings.Repeat("0123456789abcdef", 20_000),
	}
	m.kept.requireOK(t, "/pid")
	fds := s.countFDs(t)

	began := time.Now()

	group, ctx := errgroup.WithContext(t.Context())
	for _, kind := range m.kinds() {
		group.Go(func() error {
			round := 0
			for ; round < mixRounds || longtests.Enabled() && time.Since(began) < mixTime; round++ {
				if err := kind.work(ctx, round); err != nil {
					return fmt.Errorf("%s, round %d: %w", kind.name, round, err)
				}
			}

			t.Logf("%s: %d rounds", kind.name, round)

			return nil
		})
	}

	require.NoError(t, group.Wait())
	longtests.Rounds(t, mixRounds, 1000)
	require.Equal(t, "public hello", m.kept.requireOK(t, "/hello.txt"))

	for _, c := range []*client{m.kept, m.fresh, m.h} {
		c.CloseIdleConnections()
	}

	// A process has idle connections, its pipes, its socket and itself.
	s.requireNoMoreFDs(t, fds+processes*(concurrency+4))
	s.requireBufferFiles(t, s.Tmp, 0)
	now, peak := s.memory(t)
	t.Logf("the server has %d MB, and had %d", now, peak)
	require.Less(t, peak, mixMemory)
	require.Empty(t, s.lines("request failed", "panic", "BUG"))
}

func (m *mix) kinds() []mixed {
	return []mixed{
		{"requests on kept connections", func(ctx context.Context, n int) error { return m.serve(ctx, m.kept, n) }},
		{"requests on new connections", func(ctx context.Context, n int) error { return m.serve(ctx, m.fresh, n) }},
		{"streams of HTTP/2", func(ctx context.Context, n int) error { return m.serve(ctx, m.h, n) }},

		{"uploads with a length", func(ctx context.Context, n int) error {
			return m.upload(ctx, m.kept, strings.NewReader(m.body[:n*7919%len(m.body)]))
		}},
		{"chunked uploads", func(ctx context.Context, n int) error {
			return m.upload(ctx, m.kept, io.MultiReader(strings.NewReader(m.body[:n*6007%len(m.body)])))
		}},
		{"uploads by HTTP/2", func(ctx context.Context, n int) error {
			return m.upload(ctx, m.h, strings.NewReader(m.body[:n*104729%len(m.body)]))
		}},

		{"large responses", func(ctx context.Context, n int) error {
			size := 1 + n*31337%(2*megabyte)
			return m.requireBody(ctx, m.kept, "/large?"+strconv.Itoa(size), strings.Repeat("x", size))
		}},
		{"static files", m.files},
		{"pipelined requests", m.pipeline},
		{"tunnels", m.tunnel},

		{"clients that leave in the upload", func(ctx context.Context, n int) error {
			return m.leave(ctx, n, "POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"+m.body, 0)
		}},
		{"clients that leave in the work", func(ctx context.Context, n int) error {
			return m.leave(ctx, n, "GET /hold?left HTTP/1.1\r\nHost: x\r\n\r\n", 0)
		}},
		{"clients that leave in the response", func(ctx context.Context, n int) error {
			return m.leave(ctx, n, "GET /large?3000000 HTTP/1.1\r\nHost: x\r\n\r\n", 1000)
		}},
		{"heads that are refused", m.refused},
	}
}

func (m *mix) serve(ctx context.Context, c *client, round int) error {
	query := fmt.Sprintf("%p.%d", c, round)
	return m.requireBody(ctx, c, "/query?"+query, query)
}

func (m *mix) requireBody(ctx context.Context, c *client, target, want string) error {
	a, err := m.ask(ctx, c, target)
	if err == nil && (a.StatusCode != http.StatusOK || a.body != want) {
		err = fmt.Errorf("%s: %s with %d bytes, not %d", target, a.Status, len(a.body), len(want))
	}

	return err
}

func (*mix) ask(ctx context.Context, c *client, target string, header ...string) (*reply, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+target, nil)
	if err != nil {
		return nil, err
	}

	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}

	return c.do(r)
}

// upload sends a body, of which the application says the length and the checksum.
func (m *mix) upload(ctx context.Context, c *client, body io.Reader) error {
	sum := crc32.New(castagnoli)
	sent := &counting{Reader: io.TeeReader(body, sum)}
	length := int64(-1)
	if r, ok := body.(*strings.Reader); ok {
		length = r.Size()
	}

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/sum", sent)
	if err != nil {
		return err
	}

	r.ContentLength = length
	a, err := c.do(r)
	if err != nil {
		return err
	}

	if want := summary(sent.n, sum.Sum32(), nil); a.body != want {
		return fmt.Errorf("%s: %q, not %q", a.Status, a.body, want)
	}

	return nil
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)

	return n, err
}

// files gets a file whole, in part, and not at all since it is known.
func (m *mix) files(ctx context.Context, _ int) error {
	whole, err := m.ask(ctx, m.kept, "/hello.txt")
	if err != nil || whole.body != "public hello" {
		return errors.Join(err, fmt.Errorf("the whole file: %v", whole))
	}

	part, err := m.ask(ctx, m.kept, "/hello.txt", "Range", "bytes=7-")
	if err != nil || part.StatusCode != http.StatusPartialContent || part.body != "hello" {
		return errors.Join(err, fmt.Errorf("a part of it: %v", part))
	}

	known, err := m.ask(ctx, m.h, "/hello.txt", "If-None-Match", whole.Header.Get("ETag"))
	if err != nil || known.StatusCode != http.StatusNotModified || known.body != "" {
		return errors.Join(err, fmt.Errorf("the known file: %v", known))
	}

	return nil
}

// dial is for clients that no library has. A test that fails has to end, too.
func (m *mix) dial() (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", m.s.addr, deadline)
	if err != nil {
		return nil, err
	}

	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("a connection is a %T", c)
	}

	return tcp, tcp.SetDeadline(time.Now().Add(deadline))
}

// pipeline sends several requests at once, whose responses come in their order.
func (m *mix) pipeline(_ context.Context, round int) error {
	c, err := m.dial()
	if err != nil {
		return err
	}

	defer func() { _ = c.Close() }()

	const count = 5

	var all strings.Builder
	for i := range count {
		fmt.Fprintf(&all, "GET /query?%d.%d HTTP/1.1\r\nHost: x\r\n\r\n", round, i)
	}

	if _, err := io.WriteString(c, all.String()); err != nil {
		return err
	}

	in := bufio.NewReader(c)
	for i := range count {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}

		body, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("%d.%d", round, i); err != nil || string(body) != want {
			return errors.Join(err, fmt.Errorf("%s: %q, not %q", resp.Status, body, want))
		}
	}

	return nil
}

// tunnel sends bytes through a tunnel, which come back.
func (m *mix) tunnel(_ context.Context, round int) error {
	c, err := m.dial()
	if err != nil {
		return err
	}

	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, tunnelRequest); err != nil {
		return err
	}

	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(err, fmt.Errorf("no tunnel: %v", resp))
	}

	sent := m.body[:1+round*977%100_000]
	failed := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, sent)
		failed <- errors.Join(err, c.CloseWrite())
	}()
	got, err := io.ReadAll(in)
	if err = errors.Join(err, <-failed); err != nil || string(got) != sent {
		return errors.Join(err, fmt.Errorf("%d bytes came back of %d", len(got), len(sent)))
	}

	return nil
}

// leave sends something, reads some of the response, and goes in one of two ways. The next request bounds how often
// that is.
func (m *mix) leave(ctx context.Context, round int, text string, reads int64) error {
	c, err := m.dial()
	if err != nil {
		return err
	}

	_, _ = io.WriteString(c, text) // the server may be faster
	_, err = io.CopyN(io.Discard, c, reads)
	if round%2 == 0 {
		_ = c.SetLinger(0)
	}

	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}

	return m.serve(ctx, m.fresh, round)
}

// refused sends heads that no server may take.
func (m *mix) refused(ctx context.Context, round int) error {
	c, err := m.dial()
	if err != nil {
		return err
	}

	defer func() { _ = c.Close() }()

	heads := []string{
		"GET / HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n",
	}
	if _, err := io.WriteString(c, heads[round%len(heads)]); err != nil {
		return err
	}

	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		return errors.Join(err, fmt.Errorf("not refused: %v", resp))
	}

	return m.serve(ctx, m.fresh, round)
}
