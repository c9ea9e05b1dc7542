//go:build linux

package faults_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The request in the process fails, those of others do not, and the log says
// what has happened to which request.
// Faults: B2, P2.
func TestKillBeforeTheFirstByteFailsThatRequestOnly(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "2", "--min-instances", "2", "--environment", "production")
	c := s.client(t)
	s.requireApps(t, 2)

	held := make(map[string]<-chan fetched)
	for _, id := range []string{"a", "b"} {
		held[id] = c.background(t.Context(), t, "/hold?"+id)
		s.Await(t, "holding "+id+".", 1)
	}

	apps := s.apps()
	victim := apps[0]
	require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
	var failed fetched

	other := held["b"]
	select {
	case failed = <-held["a"]:
	case failed = <-held["b"]:
		other = held["a"]
	}

	require.NoError(t, failed.err)
	require.Equal(t, http.StatusBadGateway, failed.StatusCode, failed.body)
	s.requireGone(t, victim)
	require.NotEqual(t, strconv.Itoa(victim), c.requireOK(t, "/pid"))
	require.NoError(t, syscall.Kill(apps[1], syscall.SIGUSR1))
	survivor := <-other
	require.NoError(t, survivor.err)
	require.Equal(t, http.StatusOK, survivor.StatusCode)

	require.Len(t, s.lines("request failed", "status=502", "requestId="), 1, "%s", &s.Stdout)
	s.requireKilled(t, victim)
	s.requireApps(t, 2)
}

// The log says what ended a process also when a request is the first to notice
// that it has gone.
// Faults: B2.
func TestKillUnderTrafficIsLoggedWithItsSignal(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "2", "--min-instances", "2", "--environment", "production")
	c := s.client(t)
	stop := make(chan struct{})

	var wg sync.WaitGroup
	for range 4 {
		c := s.client(t)
		r := c.request(t.Context(), t, http.MethodGet, "/pid", nil)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = c.do(r) // those in the process fail
				}
			}
		})
	}

	victims := make([]int, 0, 5)
	for range cap(victims) {
		s.requireApps(t, 2)

		// One that serves: what is still starting has its end in the error of
		// its start.
		var victim int
		eventually(t, func() error {
			a, err := c.do(c.request(t.Context(), t, http.MethodGet, "/pid", nil))
			if err == nil {
				victim, err = strconv.Atoi(a.body)
			}

			return err
		})
		require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
		s.requireGone(t, victim)
		victims = append(victims, victim)
	}

	close(stop)
	wg.Wait()

	for _, victim := range victims {
		s.requireKilled(t, victim)
	}
}

// requireKilled checks that the log says what ended a process.
func (s *server) requireKilled(t testing.TB, pid int) {
	t.Helper()
	eventually(t, func() error {
		if len(s.lines("pid="+strconv.Itoa(pid), "signal: killed")) == 0 {
			return fmt.Errorf("the log does not say what ended process %d: %q", pid, s.lines("pid="+strconv.Itoa(pid)))
		}

		return nil
	})
}

// What the client has got never looks like all of it.
// Faults: B3.
func TestKillInTheResponseLeavesItVisiblyCut(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "1")

	c := s.client(t)
	for _, length := range []string{"100000", "0"} { // 0 is chunked
		pid, err := strconv.Atoi(c.requireOK(t, "/pid"))
		require.NoError(t, err)
		conn := s.dial(t, "GET /begin?"+length+" HTTP/1.1\r\nHost: x\r\n\r\n")
		s.Await(t, "holding "+length+".", 1)

		// Before that, the response would be 502.
		_, err = conn.in.Peek(1)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		got, err := io.ReadAll(conn.in)
		if err != nil {
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}

		require.Equal(t, 1, bytes.Count(got, []byte("HTTP/1.1 ")), "%s", got)
		require.NotContains(t, string(got), "\r\n0\r\n")
		head, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
		require.Contains(t, string(head), " 200 OK")
		require.Less(t, len(body), 100000)
		s.requireGone(t, pid)
		require.NotEqual(t, strconv.Itoa(pid), c.requireOK(t, "/pid"))
	}
}

// A process that is stopped in a request is killed at the request's time limit.
// Meanwhile another one serves.
// Faults: B4.
func TestStoppedProcessIsKilledAtTheTimeLimit(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-pool-size", "2", "--max-request-time", "1")
	c := s.client(t)
	stopped, err := strconv.Atoi(c.requireOK(t, "/pid"))
	require.NoError(t, err)
	began := time.Now()
	held := c.background(t.Context(), t, "/hold?a")
	s.Await(t, "holding a.", 1)
	require.NoError(t, syscall.Kill(stopped, syscall.SIGSTOP))

	served := 0
	for reply := (fetched{}); reply.reply == nil; {
		select {
		case reply = <-held:
			require.NoError(t, reply.err)
			require.Equal(t, http.StatusGatewayTimeout, reply.StatusCode)
			require.InDelta(t, time.Second, time.Since(began), float64(2*time.Second))
		default:
			require.NotEqual(t, strconv.Itoa(stopped), c.requireOK(t, "/pid"))
			served++
		}
	}

	require.Greater(t, served, 10)
	s.requireGone(t, stopped)
	c.requireOK(t, "/pid")
}

// A body that the process does not read is the server's to keep. The process
// fails by the time limit and is replaced.
// Faults: B5.
func TestProcessThatNeverReadsIsReplaced(t *testing.T) {
	t.Parallel()

	for name, args := range map[string][]string{"Buffered": nil, "Streamed": {"--request-buffering=false"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The time is for the process that reads, too, which a busy machine makes slow.
			s := start(t, append(args, "--max-pool-size", "1", "--max-request-time", "3", "--envvar", deafVar+"=1")...)
			c := s.client(t)
			deaf := s.requireApps(t, 1)[0]
			a := c.post(t, "/sum", bytes.NewReader(make([]byte, 2*megabyte)))
			require.Equal(t, http.StatusGatewayTimeout, a.StatusCode, a.body)
			require.Len(t, s.lines("accepted 1."), 1)
			s.requireGone(t, deaf)
			require.Equal(t, http.StatusOK, c.post(t, "/sum", bytes.NewReader(make([]byte, 2*megabyte))).StatusCode)
			s.requireBufferFiles(t, s.Tmp, 0)
		})
	}
}

// Faults: B6.
func TestProcessThatClosesItsListenerIsReplaced(t *testing.T) {
	t.Parallel()
	requireReplaced(t, "close")
}

// Faults: B7.
func TestProcessWhoseSocketIsUnlinkedIsReplaced(t *testing.T) {
	t.Parallel()
	requireReplaced(t, "unlink")
}

// requireReplaced checks that a process that takes no connections any more is
// ended, and no client notices.
func requireReplaced(t *testing.T, trick string) {
	t.Helper()

	for _, count := range []string{"1", "2"} {
		t.Run(count, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--max-pool-size", count, "--min-instances", count)
			c := s.client(t)
			processes, err := strconv.Atoi(count)
			require.NoError(t, err)
			s.requireApps(t, processes)
			broken := c.requireOK(t, "/listener?"+trick)
			pid, err := strconv.Atoi(broken)
			require.NoError(t, err)

			for range 10 {
				began := time.Now()
				require.NotEqual(t, broken, c.requireOK(t, "/pid"))
				require.Less(t, time.Since(began), 3*time.Second)
			}

			s.requireGone(t, pid)
			s.Await(t, "detaching a process", 1) // when the process has been looked at
			require.Len(t, s.lines("detaching a process"), 1)
		})
	}
}

// A process whose backlog is full is not broken: others are asked, and if there
// are none, it is waited for.
// Faults: B8.
func TestProcessWithFullBacklogStays(t *testing.T) {
	t.Parallel()
	t.Run("Others", func(t *testing.T) {
		t.Parallel()
		s := start(t, "--max-pool-size", "2", "--min-instances", "2")
		c := s.client(t)
		s.requireApps(t, 2)

		full := c.requireOK(t, "/listener?clog")
		for range 10 {
			began := time.Now()
			require.NotEqual(t, full, c.requireOK(t, "/pid"))
			require.Less(t, time.Since(began), 3*time.Second)
		}
	})
	t.Run("Alone", func(t *testing.T) {
		t.Parallel()
		s := start(t, "--max-pool-size", "1")
		c := s.client(t)
		full := c.requireOK(t, "/listener?clog")

		waiting := c.background(t.Context(), t, "/pid")
		select {
		case a := <-waiting:
			require.NoError(t, a.err)
			require.FailNow(t, "it does not wait", "%d %s", a.StatusCode, a.body)
		case <-time.After(time.Second / 2):
		}

		pid, err := strconv.Atoi(full)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGUSR2))
		a := <-waiting
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Equal(t, full, a.body)
	})
}
