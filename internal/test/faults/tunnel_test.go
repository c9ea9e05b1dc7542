//go:build linux

package faults_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

const tunnelRequest = "GET /tunnel HTTP/1.1\r\n" + upgrade

// What goes through a tunnel is not looked at, whatever pieces it comes in.
func TestTunnelIsTransparent(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)

	random := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		sent := make([]byte, 10000)
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}

		// Some of it comes in the same packet as the request.
		first := random.IntN(100)
		c := s.dial(t, tunnelRequest+string(sent[:first]))
		c.requireSwitched(t)
		failed := make(chan error, 1)
		go func() {
			for rest := sent[first:]; len(rest) > 0; {
				n := min(1+random.IntN(700), len(rest))
				if _, err := c.Write(rest[:n]); err != nil {
					failed <- err
					return
				}

				rest = rest[n:]
			}

			failed <- c.CloseWrite()
		}()
		got := c.rest()
		require.NoError(t, <-failed)
		require.True(t, string(sent) == got, "%d bytes came back", len(got)) //nolint:testifylint // not to be printed
	}
}

// Each direction of a tunnel ends by itself.
// Faults: C20.
func TestTunnelForwardsHalfCloseOfTheClient(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	c := s.dial(t, tunnelRequest+"to the end")
	c.requireSwitched(t)
	require.NoError(t, c.CloseWrite())
	require.Equal(t, "to the end", c.rest())
	s.Await(t, "the tunnel has ended. <nil>", 1)
}

// Faults: C20.
func TestTunnelForwardsHalfCloseOfTheApplication(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	c := s.dial(t, tunnelRequest+"end\n")
	c.requireSwitched(t)
	require.Empty(t, c.rest())
	c.say("still heard")
	require.NoError(t, c.CloseWrite())
	s.Await(t, "still heard", 1)
	require.Len(t, s.lines("the tunnel got", "still heard", "<nil>"), 1)
}

// A WebSocket ends with its process, within a second.
// Faults: C20.
func TestTunnelEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	s := nodeApp(t, "websocket").start(t)
	ctx := withDeadline(t)
	c := s.client(t)
	c.requireOK(t, "/")
	fds := s.countFDs(t)
	conns := []*websocket.Conn{s.dialWebSocket(ctx, t), s.dialWebSocket(ctx, t)}
	pid, err := strconv.Atoi(c.requireOK(t, "/"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	requireCut(ctx, t, conns)
	s.requireGone(t, pid)
	require.NotEqual(t, strconv.Itoa(pid), c.requireOK(t, "/"))
	c.CloseIdleConnections()
	s.requireNoMoreFDs(t, fds)
}

// Faults: C20.
func TestTunnelEndsWhenItsProcessIsRestarted(t *testing.T) {
	t.Parallel()
	l := nodeApp(t, "websocket")
	tmp := filepath.Join(l.app, "tmp")
	require.NoError(t, os.Mkdir(tmp, 0o700))

	// Else the files were looked at each ten seconds only.
	require.NoError(t, os.WriteFile(filepath.Join(tmp, "always_restart.txt"), nil, 0o600))
	s := l.start(t)
	ctx := withDeadline(t)
	c := s.client(t)
	conns := []*websocket.Conn{s.dialWebSocket(ctx, t)}
	before := strconv.Itoa(s.requireApps(t, 1)[0])
	require.NoError(t, os.Remove(filepath.Join(tmp, "always_restart.txt")))
	require.NoError(t, os.WriteFile(filepath.Join(tmp, "restart.txt"), nil, 0o600))
	eventually(t, func() error {
		if c.requireOK(t, "/") == before {
			return errors.New("the application was not restarted")
		}

		return nil
	})
	requireCut(ctx, t, conns)
	s.requireApps(t, 1)
}

// requireCut checks that the clients see the end within a second.
func requireCut(ctx context.Context, t testing.TB, conns []*websocket.Conn) {
	t.Helper()
	began := time.Now()

	for _, conn := range conns {
		_, _, err := conn.Read(ctx)
		require.Error(t, err)
		require.NoError(t, ctx.Err(), "the client was not closed")
	}

	require.Less(t, time.Since(began), time.Second)
}

// The application's connection ends with the client's.
// Faults: C20.
func TestTunnelEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	s.client(t).requireOK(t, "/pid")

	fds := s.countFDs(t)
	for range 10 {
		c := s.dial(t, tunnelRequest)
		c.requireSwitched(t)
		c.reset()
	}

	began := time.Now()
	s.Await(t, "the tunnel has ended.", 10)
	require.Less(t, time.Since(began), time.Second)
	s.requireNoMoreFDs(t, fds)
}

// An upgrade that is not one of a WebSocket is none.
// Faults: R-42.
func TestOtherUpgradesAreNotForwarded(t *testing.T) {
	t.Parallel()
	s := start(t, unlimited...)
	c := s.dial(t, "GET /serve?h2c HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+
		"h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
	a := c.reply()
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "h2c", a.body)
	_, err := io.WriteString(c, "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, c.reply().StatusCode, "the connection is not usable any more")
}
