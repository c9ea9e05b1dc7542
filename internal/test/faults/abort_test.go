//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// abort ends a connection in one of two ways.
func (c *raw) abort(i int) {
	c.t.Helper()
	if i%2 == 0 {
		c.reset()
	} else {
		require.NoError(c.t, c.Close())
	}
}

// Of uploads that are broken off the application sees nothing, the disk is free
// again, and the log is none the longer.
// Faults: D4.
func TestAbortedUploadsLeaveNothing(t *testing.T) {
	s := start(t, "--max-pool-size", "1", "--environment", "production")
	c := s.client(t)
	c.requireOK(t, "/pid")
	s.Await(t, "started in", 1) // the first response may be there before this line
	fds, log := s.countFDs(t), s.Stdout.String()
	others := startTraffic(t, c)
	half := strings.Repeat("x", 150<<10) // more than is kept in memory

	// A machine that is busy may need more of them until the others had their turn.
	uploads := longtests.Rounds(t, 200, 1000)
	for i := 0; i < uploads || others.served.Load() < enough && i < 100_000; i++ {
		sent := half
		if i%10 > 1 {
			sent = half[:1000]
		}

		head := "Content-Length: 300000\r\n\r\n"
		if i%3 == 0 {
			head = "Transfer-Encoding: chunked\r\n\r\n40000\r\n"
		}

		s.dial(t, "POST /serve?aborted HTTP/1.1\r\nHost: x\r\n"+head+sent).abort(i)
	}

	others.requireServed(t)
	s.requireBufferFiles(t, s.Tmp, 0)
	s.requireNoMoreFDs(t, fds)
	require.Equal(t, log, s.Stdout.String())
}

// Where bodies are streamed, an upload that is broken off gives its process back
// in a tenth of a second.
// Faults: P8.
func TestAbortedStreamedUploadFreesItsProcess(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1", "--request-buffering=false")
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)

	times := make([]time.Duration, 0, 50)
	for i := range cap(times) {
		conn := s.dial(t, "POST /hold?upload HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"+
			strings.Repeat("x", 50<<10))
		s.Await(t, "holding upload.", i+1)
		began := time.Now()
		conn.abort(i)
		c.requireOK(t, "/pid")
		times = append(times, time.Since(began))
	}

	slices.Sort(times)
	t.Logf("the process was free after %v in the median, %v at most", times[len(times)/2], times[len(times)-1])
	require.Less(t, times[len(times)/2], time.Second/10)
	s.requireNoMoreFDs(t, fds)
}

// Who leaves while the application works frees the process as soon as that has
// noticed, and no other client gets the response.
// Faults: D6.
func TestAbortWhileTheAppWorksFreesTheProcess(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1")
	c := s.client(t)
	c.requireOK(t, "/pid")
	h2 := s.client(t, http2)

	fds := s.countFDs(t)
	for i := range 20 {
		id := fmt.Sprintf("request%d", i)
		if i%4 < 2 {
			conn := s.dial(t, "GET /hold?"+id+" HTTP/1.1\r\nHost: x\r\n\r\n")
			s.Await(t, "holding "+id+".", 1)
			conn.abort(i)
		} else {
			ctx, cancel := context.WithCancel(t.Context())
			held := h2.background(ctx, t, "/hold?"+id)
			s.Await(t, "holding "+id+".", 1)
			cancel()
			require.ErrorIs(t, (<-held).err, context.Canceled)
		}

		next := fmt.Sprintf("next%d", i)
		require.Equal(t, next, c.requireOK(t, "/serve?"+next))
		s.Await(t, "left by "+id+".", 1)
	}

	s.requireNoMoreFDs(t, fds)
	require.Empty(t, s.lines("request failed"))
}

// A process that works on for a client that has left gets no other request
// meanwhile, while another process has room, and serves again afterwards.
// Faults: D6.
func TestProcessThatWorksForNoClientGetsNoRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "2", "--min-instances", "2")
	c := s.client(t)
	pids := s.requireApps(t, 2)

	for i := range 4 {
		id := fmt.Sprintf("work%d", i)
		conn := s.dial(t, "GET /work?"+id+" HTTP/1.1\r\nHost: x\r\n\r\n")
		s.Await(t, "holding "+id+".", 1)
		conn.abort(i)

		served := map[string]bool{}
		for range 20 {
			served[c.requireOK(t, "/pid")] = true
		}

		require.Len(t, served, 1)

		for _, pid := range pids {
			if !served[strconv.Itoa(pid)] {
				require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
			}
		}

		// Both at once have a process each.
		ctx, cancel := context.WithCancel(t.Context())
		for _, name := range []string{"a", "b"} {
			c.background(ctx, t, "/hold?"+name+id)
			s.Await(t, "holding "+name+id+".", 1)
		}

		cancel()
		s.Await(t, "left by a"+id+".", 1)
		s.Await(t, "left by b"+id+".", 1)
	}
}

// holdProcess occupies the one process until free is called.
func (s *server) holdProcess(t testing.TB, c *client) (free func()) {
	t.Helper()
	c.requireOK(t, "/pid")
	pid := s.requireApps(t, 1)[0]
	held := c.background(t.Context(), t, "/hold?process")
	s.Await(t, "holding process.", 1)

	return func() {
		require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
		a := <-held
		require.NoError(t, a.err)
		require.Equal(t, "process", a.body)
	}
}
