//go:build linux

package headguard_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/headguard"
)

const stall = 50 * time.Millisecond

// serveStalled serves with handler, within limits that are short.
func serveStalled(t *testing.T, secure bool, handler http.HandlerFunc) *site {
	t.Helper()

	return serve(t, "tcp", secure, func(g *headguard.Guard, server *http.Server) {
		g.StallTimeout, server.IdleTimeout = stall, stall
		server.Handler = g.Handler(handler)
	})
}

// ask sends a request and does not read the response.
func (s *site) ask(request string) net.Conn {
	s.Helper()

	c := s.dial()
	raw := c
	if encrypted, ok := c.(interface{ NetConn() net.Conn }); ok {
		raw = encrypted.NetConn()
	}

	require.NoError(s, raw.(*net.TCPConn).SetReadBuffer(4<<10)) //nolint:forcetypeassert,errcheck // the network is TCP
	_, err := io.WriteString(c, request)
	require.NoError(s, err)

	return c
}

func TestClientThatReadsNothingEndsAWrite(t *testing.T) {
	piece := make([]byte, 32<<10)
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			s := serveStalled(t, secure, func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := w.Write(piece); err != nil {
						failed <- err
						return
					}
				}
			})

			s.ask(good)
			require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
		})
	}
}

// A writer that has taken the connection has its own limits.
func TestHijackedConnectionHasNoLimitForWrites(t *testing.T) {
	const size = 32 << 20 // more than the kernel takes
	piece := make([]byte, 32<<10)
	written := make(chan error, 1)
	s := serveStalled(t, false, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			written <- err
			return
		}
		defer c.Close()

		for n := 0; n < size && err == nil; n += len(piece) {
			_, err = c.Write(piece)
		}

		written <- err
	})

	c := s.dial()
	_, err := io.WriteString(c, good)
	require.NoError(t, err)

	select {
	case err := <-written:
		require.Fail(t, "the write ended before the client has read", "%v", err)
	case <-time.After(4 * stall):
	}

	n, err := io.Copy(io.Discard, c)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.Equal(t, int64(size), n)
}

// What the kernel has still to send when the time for another request is over stays for a client that takes it, and is
// dropped for one that does not.
func TestResponseThatNoClientTakesIsDropped(t *testing.T) {
	const size = 512 << 10
	body := strings.Repeat("x", size)

	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			s := serveStalled(t, secure, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, body)
			})

			c := s.ask(good)
			s.allStates()

			n, err := io.Copy(io.Discard, c)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			require.Less(t, n, int64(size))
		})
	}
}
