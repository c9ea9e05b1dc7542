//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const crowd = 2000

// dialMany connects many times, and says something each time.
func (s *server) dialMany(t testing.TB, count int, text func(i int) string) []*raw {
	t.Helper()
	conns := make([]*raw, count)
	for i := range conns {
		conns[i] = s.dial(t, text(i))
	}
	return conns
}

// readAll reads all connections up to their ends, at once. Those that are reset
// are at their end too: the server has not read all that they sent.
func readAll(conns []*raw) ([]string, error) {
	got, errs := make([]string, len(conns)), make([]error, len(conns))
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			b, err := io.ReadAll(c.in)
			if errors.Is(err, syscall.ECONNRESET) {
				err = nil
			}
			got[i], errs[i] = string(b), err
			_ = c.Close()
		})
	}
	wg.Wait()
	return got, errors.Join(errs...)
}

func requireAll(t testing.TB, conns []*raw) []string {
	t.Helper()
	got, err := readAll(conns)
	require.NoError(t, err)
	return got
}

// traffic asks until it is told to stop, and returns how often and what the
// slowest answer took.
func traffic(t testing.TB, c *client) (stop func() (served int, slowest time.Duration)) {
	t.Helper()
	type result struct {
		served  int
		slowest time.Duration
		err     error
	}
	done, results := make(chan struct{}), make(chan result, 1)
	request := c.request(t.Context(), t, http.MethodGet, "/pid", nil)
	go func() {
		var r result
		defer func() { results <- r }()
		for tick := time.NewTicker(interval); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			began := time.Now()
			a, err := c.do(request)
			if err == nil && a.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", a.Status, a.body)
			}
			if err != nil {
				r.err = err
				return
			}
			r.served++
			r.slowest = max(r.slowest, time.Since(began))
		}
	}()
	return func() (int, time.Duration) {
		t.Helper()
		close(done)
		r := <-results
		require.NoError(t, r.err)
		return r.served, r.slowest
	}
}

// requireTraffic checks that traffic was not held up. There is one process that
// takes one request at a time: whoever held it would stop everything.
func requireTraffic(t testing.TB, stop func() (int, time.Duration)) {
	t.Helper()
	served, slowest := stop()
	t.Logf("%d requests of others were served, the slowest in %v", served, slowest)
	require.Greater(t, served, 10)
}

// Heads that never end hold no process, and are closed at an absolute deadline,
// however steadily bytes come. Package net/http closes without an answer 408.
func TestD1SlowHeads(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--client-header-timeout", "2")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	stop := traffic(t, c)
	began := time.Now()
	conns := s.dialMany(t, crowd, func(int) string { return "GET /pid HTTP/1.1\r\nHost: x\r\nX-Slow: " })
	drip := time.NewTicker(time.Second / 2)
	defer drip.Stop()
	gone := make(chan []string, 1)
	var err error
	go func() {
		var got []string
		got, err = readAll(conns)
		gone <- got
	}()
	for done := false; !done; {
		select {
		case <-drip.C:
			for _, conn := range conns {
				_, _ = io.WriteString(conn, "x") // those that are closed fail
			}
		case got := <-gone:
			require.NoError(t, err)
			for _, answer := range got {
				require.Empty(t, answer)
			}
			done = true
		}
	}
	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	require.Less(t, time.Since(began), 5*time.Second)
	requireTraffic(t, stop)
	s.requireNoMoreFDs(t, fds)
}

// Bodies that come too slowly are answered with 408, hold no process, and leave
// nothing on disk.
func TestD2SlowBodies(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--client-timeout", "1", "--client-min-rate", "1000000")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	stop := traffic(t, c)
	const large = 300 << 10 // more than is kept in memory
	conns := s.dialMany(t, crowd, func(i int) string {
		sent := 10
		if i%20 == 0 {
			sent = large
		}
		if i%2 == 0 {
			return fmt.Sprintf("POST /serve?slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat("x", sent))
		}
		return fmt.Sprintf("POST /serve?slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", sent+100, strings.Repeat("x", sent))
	})
	stored := s.bufferFiles(t, s.Tmp)
	for _, answer := range requireAll(t, conns) {
		require.Contains(t, answer, "HTTP/1.1 408 ")
		require.Contains(t, answer, "Connection: close")
		require.Equal(t, 1, strings.Count(answer, "HTTP/1.1"))
	}
	require.Positive(t, stored)
	requireTraffic(t, stop)
	s.requireBufferFiles(t, s.Tmp, 0)
	s.requireNoMoreFDs(t, fds)
	require.Empty(t, s.lines("served slow."), "the application has seen one")
}

// Answers that nobody reads are kept, so that the process is free, and dropped
// at the deadline for writing.
func TestD3SlowReaders(t *testing.T) {
	readers := 150
	if long() {
		readers = 500
	}
	s := start(t, "--max-pool-size", "1", "--max-request-queue-size", "0", "--client-timeout", "2", "--client-min-rate", "1000000")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	conns := make([]*raw, readers)
	for i := range conns {
		conns[i] = s.dialWith(t, smallWindow)
	}
	began := time.Now()
	for _, conn := range conns {
		conn.say("GET /large?1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	stop := traffic(t, c)
	s.requireBufferFiles(t, s.Tmp, 10)
	// The queue is fair: who comes last is served when the process has been
	// through with all of them.
	c.requireOK(t, "/serve?last")
	t.Logf("all have had the process after %v", time.Since(began))
	s.requireBufferFiles(t, s.Tmp, 0)
	cut := 0
	for _, answer := range requireAll(t, conns) {
		if len(answer) < 1000000 {
			cut++
		}
	}
	require.Equal(t, readers, cut, "answers that were not cut")
	served, _ := stop()
	require.Positive(t, served)
	s.requireNoMoreFDs(t, fds)
}

// Idle connections are closed in time, and keep nobody from being served.
func TestD11IdleConnections(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--keepalive-timeout", "1")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	stop := traffic(t, c)
	conns := s.dialMany(t, crowd, func(int) string { return "" })
	for _, conn := range conns {
		conn.say("GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
		require.Equal(t, http.StatusOK, conn.answer().StatusCode)
	}
	last := time.Now()
	for _, rest := range requireAll(t, conns) {
		require.Empty(t, rest)
	}
	require.InDelta(t, time.Second, time.Since(last), float64(time.Second))
	requireTraffic(t, stop)
	s.requireNoMoreFDs(t, fds)
}
