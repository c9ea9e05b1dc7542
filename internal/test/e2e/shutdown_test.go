package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/testapp"
)

const (
	stopping = "Stopping:"
	// maxForced is how long a shutdown may take that is asked to hurry.
	maxForced = 2 * time.Second
)

func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	const requests = 1000
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--max-request-queue-size", "0")})
	c := s.client(t)

	replies := make([]<-chan fetched, requests)
	for i := range replies {
		replies[i] = c.background(t, "/hold?"+strconv.Itoa(i))
	}

	s.Stderr.Await(t, heldText(requests), 1, s.Ended)
	apps := s.apps(t)
	require.Len(t, apps, 1)
	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, stopping, 1, s.Ended)
	requireRefused(t, s)
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGUSR1))

	for _, ch := range replies {
		a := <-ch
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.Equal(t, strconv.Itoa(apps[0]), a.body)
	}

	s.requireExit(t, 0)
	require.Contains(t, s.Stdout.String(), "Stopped.")
}

// Requests that wait for a process, here one that takes one at a time, are
// served too.
func TestShutdownServesTheQueue(t *testing.T) {
	t.Parallel()
	const requests = 100

	args := append(binaryArgs(t), "--max-pool-size", "1", "--max-request-queue-size", "0")
	for name, value := range testapp.Env("http", "concurrency=1") {
		args = append(args, "--envvar", name+"="+value)
	}

	s := start(t, &launch{dir: newDir(t, map[string]string{"public/page.txt": "static"}), args: args})
	require.Equal(t, "hello", s.client(t).get(t, "/").body)
	pid := s.apps(t)[0]
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	c := s.client(t)
	var unsent sync.WaitGroup
	unsent.Add(requests)

	replies := make([]<-chan fetched, requests)
	for i := range replies {
		replies[i] = c.background(t, "/", &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { unsent.Done() },
		})
	}

	unsent.Wait()
	s.requireRead(t, requests)

	// What was read is handled before this is.
	require.Equal(t, "static", s.client(t).get(t, "/page.txt").body)
	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, stopping, 1, s.Ended)
	requireRefused(t, s)
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))

	for _, ch := range replies {
		a := <-ch
		require.NoError(t, a.err)
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	}

	s.requireExit(t, 0)
}

// The head of a request on a kept connection may come in parts, as with TLS one of several records does.
func TestShutdownServesARequestWhoseHeadHasBegun(t *testing.T) {
	t.Parallel()

	for _, httpServer := range []string{"front", "standard"} {
		t.Run(httpServer, func(t *testing.T) {
			t.Parallel()

			s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--http-server", httpServer)})
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()

			const head = "GET / HTTP/1.1\r\nHost: shop\r\n"
			_, err = io.WriteString(conn, head+"\r\n")
			require.NoError(t, err)

			from := bufio.NewReader(conn)
			response, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			require.False(t, response.Close)

			_, err = io.WriteString(conn, head)
			require.NoError(t, err)
			s.requireRead(t, 1)

			s.signal(t, syscall.SIGTERM)
			s.Stdout.Await(t, stopping, 1, s.Ended)
			requireRefused(t, s)

			_, err = io.WriteString(conn, "\r\n")
			require.NoError(t, err)
			response, err = http.ReadResponse(from, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.True(t, response.Close)

			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			s.requireExit(t, 0)
		})
	}
}

// requireRefused waits until the server takes no more connections.
func requireRefused(t *testing.T, s *server) {
	t.Helper()
	eventually(t, func() error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}

		if err == nil {
			err = conn.Close()
		}

		return errors.Join(errors.New("the server accepts connections"), err)
	})
}

// requireRead waits until the server has n connections and has read all
// that was sent on them.
func (s *server) requireRead(t *testing.T, connections int) {
	t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.url, "http://"), ":")
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	local := fmt.Sprintf("0100007F:%04X", number)
	eventually(t, func() error {
		table, err := os.ReadFile(s.proc(t, "net/tcp"))
		if err != nil {
			return err
		}

		read := 0
		for line := range strings.Lines(string(table)) {
			// Number, local, remote, state (1 is established), queues, ...
			if f := strings.Fields(line); len(f) > 4 && f[1] == local && f[3] == "01" &&
				strings.HasSuffix(f[4], ":00000000") {
				read++
			}
		}

		if read < connections {
			return fmt.Errorf("%d requests of %d have been read", read, connections)
		}

		return nil
	})
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()

	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
			hung := s.client(t).background(t, "/hold")
			s.Stderr.Await(t, heldText(1), 1, s.Ended)
			s.signal(t, sig)
			s.Stdout.Await(t, stopping, 1, s.Ended)

			select {
			case <-s.Ended:
				require.Fail(t, "the first signal ended a request")
			default:
			}

			began := time.Now()
			s.signal(t, sig)
			s.requireExit(t, 1)
			require.Less(t, time.Since(began), maxForced)
			require.Contains(t, s.Stderr.String(), "passenger: the shutdown was forced")
			if a := <-hung; a.err == nil {
				require.GreaterOrEqual(t, a.StatusCode, http.StatusInternalServerError)
			}
		})
	}
}

// An application that listens to nothing is killed then.
func TestSecondSignalKills(t *testing.T) {
	t.Parallel()

	args := binaryArgs(t)
	for name, value := range testapp.Env("stubborn") {
		args = append(args, "--envvar", name+"="+value)
	}

	s := start(t, &launch{dir: t.TempDir(), args: args})
	require.Equal(t, "hello", s.client(t).get(t, "/").body)
	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, stopping, 1, s.Ended)
	began := time.Now()
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 1)
	require.Less(t, time.Since(began), maxForced)
}

// Neither those that wait in the queue of connections nor those that have
// connected and said nothing yet are dropped.
func TestShutdownServesWhoHasConnected(t *testing.T) {
	t.Parallel()
	const clients = 50
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/pid").StatusCode)
	connect := func() []net.Conn {
		conns := make([]net.Conn, clients)
		for i := range conns {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			conns[i] = conn
		}

		return conns
	}
	silent := connect()
	s.requireRead(t, clients)
	s.signal(t, syscall.SIGSTOP)
	queued := connect()
	s.signal(t, syscall.SIGTERM)
	s.signal(t, syscall.SIGCONT)
	s.Stdout.Await(t, stopping, 1, s.Ended)

	for _, conn := range append(silent, queued...) {
		_, err := io.WriteString(conn, "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}

	s.requireExit(t, 0)
}
