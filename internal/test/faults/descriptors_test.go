//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const tooManyFiles = "too many open files"

// A flood of connections without a request leaves descriptors for others: the oldest give
// way to new ones.
func TestConnectionFloodLeavesDescriptors(t *testing.T) {
	s := (&launch{shell: "ulimit -n 64", args: append(testApp(t), unlimited...)}).start(t)
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	flood := s.dialMany(t, 200, func(i int) string { return []string{"", "GET / HT"}[i%2] })

	for i := range 100 {
		other := s.client(t)
		other.requireOK(t, fmt.Sprintf("/serve?%d", i))
		other.CloseIdleConnections()
		c.requireOK(t, "/pid")
	}

	require.Empty(t, s.lines(tooManyFiles))
	require.Len(t, s.lines("a connection without a request was closed"), 1)
	require.Less(t, len(s.fds(t)), 62)

	for _, conn := range flood {
		_ = conn.Close() // most of them are closed
	}

	c.CloseIdleConnections()
	s.requireNoMoreFDs(t, fds)
}

// A flood of connections beyond what the server may have open makes it pause,
// and hurts no client that is there already.
// Faults: F1, D10.
func TestConnectionFloodPausesAccept(t *testing.T) {
	unbounded := []string{"--max-connections", "1000", "--max-connections-per-client", "1000"}
	s := (&launch{shell: "ulimit -n 64", args: slices.Concat(testApp(t), unlimited, unbounded)}).start(t)
	c := s.client(t)
	c.requireOK(t, "/pid")
	fds := s.countFDs(t)
	began := time.Now()
	flood := s.dialMany(t, 200, func(int) string { return "" })
	eventually(t, func() error {
		if n := len(s.fds(t)); n < 62 {
			return fmt.Errorf("it has %d descriptors", n)
		}

		return nil
	})

	served := 0
	for end := time.After(2500 * time.Millisecond); end != nil; served++ {
		select {
		case <-end:
			end = nil
		default:
			c.requireOK(t, fmt.Sprintf("/serve?%d", served))
		}
	}

	t.Logf("%d requests were served meanwhile; the log: %q", served, s.lines(tooManyFiles))
	require.Greater(t, served, 100)
	require.LessOrEqual(t, len(s.lines(tooManyFiles)), 1+int(time.Since(began).Seconds()))

	for _, conn := range flood {
		require.NoError(t, conn.Close())
	}

	began = time.Now()
	s.client(t).requireOK(t, "/pid")
	require.Less(t, time.Since(began), 2*time.Second)
	c.CloseIdleConnections()
	s.requireNoMoreFDs(t, fds)
}

// startWithoutDescriptors starts a server that has none left, but for a request
// in the process pid, and connections of clients.
func startWithoutDescriptors(t testing.TB, clients int) (s *server, pid int, held <-chan fetched, conns []*raw) {
	t.Helper()
	s = start(t, append(unlimited, "--environment", "production")...)
	c := s.client(t)
	c.requireOK(t, "/pid")
	pid = s.requireApps(t, 1)[0]

	conns = s.dialMany(t, clients, func(int) string { return "" })
	for _, conn := range conns {
		require.Equal(t, http.StatusOK, conn.get("/pid").StatusCode)
	}

	held = c.background(t.Context(), t, "/hold?it")
	s.Await(t, "holding it.", 1)
	s.limitFDs(t, s.freeFD(t))

	return s, pid, held, conns
}

func (c *raw) get(target string) *reply {
	c.t.Helper()
	c.say("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
	return c.reply()
}

// Requests for which there is no descriptor fail, the one in the process does
// not, no response gets to another client, and all is well when there are some.
// Faults: F2.
func TestRequestsWithoutDescriptorFailAlone(t *testing.T) {
	s, pid, held, conns := startWithoutDescriptors(t, 10)

	a := conns[0].get("/serve?refused")
	require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusBadGateway},
		a.StatusCode, a.body)
	conns[1].say(fmt.Sprintf("POST /sum HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 2*megabyte,
		strings.Repeat("x", 2*megabyte)))
	a = conns[1].reply()
	require.Equal(t, http.StatusInsufficientStorage, a.StatusCode, a.body)

	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	first := <-held
	require.NoError(t, first.err)
	require.Equal(t, http.StatusOK, first.StatusCode)
	require.Equal(t, "it", first.body)

	statuses := requireOwnResponses(t, conns[2:], 50)
	t.Logf("without descriptors: %v", statuses)
	s.limitFDs(t, 0)
	eventually(t, func() error {
		a := s.client(t).get(t, "/pid")
		if a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}

		return nil
	})
	require.Equal(t, map[int]int{http.StatusOK: 50 * len(conns[2:])}, requireOwnResponses(t, conns[2:], 50))
}

// That the server has no descriptor is nothing that a process could help: it
// stays, and serves on the connection that there is.
// Faults: F2.
func TestMissingDescriptorsCostNoProcess(t *testing.T) {
	s, pid, held, conns := startWithoutDescriptors(t, 2)
	require.NotEqual(t, http.StatusOK, conns[0].get("/serve?refused").StatusCode)
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	require.NoError(t, (<-held).err)
	a := conns[1].get("/pid")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(t, fmt.Sprint(pid), a.body)
	require.Empty(t, s.lines("detaching a process"))
}

// requireOwnResponses asks n times on each connection, at once, and counts
// the statuses.
func requireOwnResponses(t testing.TB, conns []*raw, times int) map[int]int {
	t.Helper()
	statuses, errs := map[int]int{}, make(chan error, len(conns))
	var mu sync.Mutex

	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			for n := range times {
				id := fmt.Sprintf("%d-%d", i, n)
				status, err := conn.ask(id)
				if err != nil {
					errs <- err
					return
				}

				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}

	wg.Wait()
	close(errs)

	for err := range errs {
		require.NoError(t, err)
	}

	return statuses
}

// ask is an error when the response is another's.
func (c *raw) ask(id string) (status int, err error) {
	if _, err := fmt.Fprintf(c, "POST /echo?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", id, len(id),
		id); err != nil {
		return 0, err
	}

	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}

	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}

	if resp.StatusCode == http.StatusOK && (string(body) != id || resp.Header.Get("X-Query") != id) {
		return 0, fmt.Errorf("%s got what is for %s: %s", id, resp.Header.Get("X-Query"), body)
	}

	return resp.StatusCode, nil
}
