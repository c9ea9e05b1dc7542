//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// crowd is how many clients come at once.
func crowd(t testing.TB) int {
	t.Helper()
	return longtests.Rounds(t, 400, 2000)
}

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

// traffic is a client that asks until stop.
type traffic struct {
	served  atomic.Int64
	slowest time.Duration
	err     error
	done    chan struct{}
	asking  sync.WaitGroup
}

// enough is how many requests show that others are served.
const enough = 10

func startTraffic(t testing.TB, c *client) *traffic {
	t.Helper()
	f := &traffic{done: make(chan struct{})}
	request := c.request(t.Context(), t, http.MethodGet, "/pid", nil)
	f.asking.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()

		for {
			select {
			case <-f.done:
				return
			case <-tick.C:
			}

			began := time.Now()
			a, err := c.do(request)
			if err == nil && a.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", a.Status, a.body)
			}

			if err != nil {
				f.err = err
				return
			}

			f.served.Add(1)
			f.slowest = max(f.slowest, time.Since(began))
		}
	})

	return f
}

// stop returns how many requests were served, of which none failed.
func (f *traffic) stop(t testing.TB) int64 {
	t.Helper()
	close(f.done)
	f.asking.Wait()
	require.NoError(t, f.err)
	t.Logf("%d requests of others were served, the slowest in %v", f.served.Load(), f.slowest)

	return f.served.Load()
}

// requireServed checks that traffic was not held up. There is one process that
// takes one request at a time: whoever held it would stop everything.
func (f *traffic) requireServed(t testing.TB) {
	t.Helper()
	require.GreaterOrEqual(t, f.stop(t), int64(enough))
}

// Heads that never end hold no process, and are closed at an absolute deadline,
// however steadily bytes come. Package net/http closes without a response 408.
// Faults: D1, P5, R-48.
func TestSlowHeadsHoldNoProcess(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--client-header-timeout", "2")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	others := startTraffic(t, c)
	began := time.Now()
	conns := s.dialMany(t, crowd(t), func(int) string { return "GET /pid HTTP/1.1\r\nHost: x\r\nX-Slow: " })
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

			for _, reply := range got {
				require.Empty(t, reply)
			}

			done = true
		}
	}

	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	require.Less(t, time.Since(began), 5*time.Second)
	others.requireServed(t)
	s.requireNoMoreFDs(t, fds)
}

// Bodies that come too slowly get 408, hold no process, and leave nothing on
// disk.
// Faults: D2, R-22.
func TestSlowBodiesHoldNoProcess(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--client-timeout", "1", "--client-min-rate", "1000000")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	others := startTraffic(t, c)
	const large = 300 << 10 // more than is kept in memory of a body that needs a file anyway
	conns := s.dialMany(t, crowd(t), func(i int) string {
		sent := 10
		if i%20 == 0 {
			sent = large
		}

		if i%2 == 0 {
			return fmt.Sprintf("POST /serve?slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n%s",
				strings.Repeat("x", sent))
		}

		return fmt.Sprintf("POST /serve?slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s",
			sent+100, strings.Repeat("x", sent))
	})

	stored := s.bufferFiles(t, s.Tmp)
	for _, reply := range requireAll(t, conns) {
		require.Contains(t, reply, "HTTP/1.1 408 ")
		require.Contains(t, reply, "Connection: close")
		require.Equal(t, 1, strings.Count(reply, "HTTP/1.1"))
	}

	require.Positive(t, stored)
	others.requireServed(t)
	s.requireBufferFiles(t, s.Tmp, 0)
	s.requireNoMoreFDs(t, fds)
	require.Empty(t, s.lines("served slow."), "the application has seen one")
}

// Responses that no client reads are kept, so that the process is free, and dropped
// at the deadline for writing.
// Faults: D3.
func TestSlowReadersHoldNoProcess(t *testing.T) {
	readers := longtests.Rounds(t, 100, 500)
	s := start(t, "--max-pool-size", "1", "--max-request-queue-size", "0", "--client-timeout", "2", "--client-min-rate",
		"1000000")
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

	others := startTraffic(t, c)
	s.requireBufferFiles(t, s.Tmp, 10)

	// The queue is fair: who comes last is served when the process has been
	// through with all of them.
	c.requireOK(t, "/serve?last")
	t.Logf("all have had the process after %v", time.Since(began))
	s.requireBufferFiles(t, s.Tmp, 0)

	cut := 0
	for _, reply := range requireAll(t, conns) {
		if len(reply) < 1000000 {
			cut++
		}
	}

	require.Equal(t, readers, cut, "responses that were not cut")
	require.Positive(t, others.stop(t))
	s.requireNoMoreFDs(t, fds)
}

// Idle connections are closed in time, and keep no other client from being served.
// Faults: D11, R-48.
func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--keepalive-timeout", "1")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	others := startTraffic(t, c)

	conns := s.dialMany(t, crowd(t), func(int) string { return "" })
	for _, conn := range conns {
		conn.say("GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
		require.Equal(t, http.StatusOK, conn.reply().StatusCode)
	}

	last := time.Now()

	for _, rest := range requireAll(t, conns) {
		require.Empty(t, rest)
	}

	require.InDelta(t, time.Second, time.Since(last), float64(time.Second))
	others.requireServed(t)
	s.requireNoMoreFDs(t, fds)
}
