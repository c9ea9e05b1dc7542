//go:build linux

package front_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFilesAreSent(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 50<<10)
	name := filepath.Join(t.TempDir(), "file.bin")
	require.NoError(t, os.WriteFile(name, content, 0o600))

	s := start(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }, false)
	for range 2 {
		resp, err := http.Get("http://" + s.addr)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.True(t, bytes.Equal(content, got))
	}
}

// handled is a handler that a test can look into.
type handled struct {
	begun, ended chan struct{}
}

func newHandled() *handled { return &handled{make(chan struct{}, 10), make(chan struct{}, 10)} }

// wait responds when the request is canceled, or after go was closed.
func (h *handled) wait(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.begun <- struct{}{}

		select {
		case <-r.Context().Done():
			h.ended <- struct{}{}
		case <-release:
		}

		_, _ = io.WriteString(w, r.RequestURI)
	}
}

func await(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()

	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatal("no sign of it: ", what)
	}
}

const request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

func TestClientsThatLeaveCancelTheirRequests(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn) error{
		"closed":      (*net.TCPConn).Close,
		"half-closed": (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error {
			_ = c.SetLinger(0)
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandled()

			s := start(t, h.wait(nil), false)
			for range 2 { // also on a connection that was used before
				c := s.dial()
				_, err := io.WriteString(c, request)
				require.NoError(t, err)
				await(t, h.begun, "the request")
				require.NoError(t, leave(c))
				await(t, h.ended, "the cancellation")
			}
		})
	}
}

// Who has sent more requests and closes its direction waits for the responses.
func TestPipelinedRequestsAreServedAfterAHalfClose(t *testing.T) {
	release := make(chan struct{})
	h := newHandled()
	s := start(t, h.wait(release), false)
	c := s.dial()
	_, err := io.WriteString(c, request+request)
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	await(t, h.begun, "the first request")
	close(release)

	all, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(all), "200 OK"))
}

func TestContextsEndWithTheirRequests(t *testing.T) {
	contexts := make(chan context.Context, 1)
	s := start(t, func(_ http.ResponseWriter, r *http.Request) { contexts <- r.Context() }, false)
	s.exchange(request)

	ctx := <-contexts
	await(t, ctx.Done(), "the end")
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Same(t, s.http, ctx.Value(http.ServerContextKey))
	require.Equal(t, s.addr, fmt.Sprint(ctx.Value(http.LocalAddrContextKey)))

	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { close(called) })
	await(t, called, "the function that comes too late")
	require.False(t, stop())
}

func TestPanicsEndTheConnectionAndAreLogged(t *testing.T) {
	s := start(t, func(http.ResponseWriter, *http.Request) { panic("broken") }, false)
	require.Empty(t, s.exchange(request+request))
	require.Equal(t, 1, strings.Count(s.logged(), "panic serving"))
	require.Contains(t, s.logged(), "broken")
}

func TestHijackedConnectionsAreReset(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
				_ = l.SetLinger(0)
			}

			_ = c.Close()
		}
	}, false)
	c := s.dial()
	_, err := io.WriteString(c, request)
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.ErrorContains(t, err, "reset")
}

// A client that does not read is cut by a write deadline, also one that has passed before.
func TestWriteDeadlinesHold(t *testing.T) {
	for name, d := range map[string]time.Duration{"soon": 50 * time.Millisecond, "past": -time.Second} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			s := start(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
				for {
					if _, err := w.Write(make([]byte, 10<<10)); err != nil {
						failed <- err
						return
					}
				}
			}, false)
			c := s.dial()
			_, err := io.WriteString(c, request)
			require.NoError(t, err)
			require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
		})
	}
}

func TestIdleConnectionsEndAfterTheirTime(t *testing.T) {
	s := start(t, show, false, func(h *http.Server) { h.IdleTimeout = 50 * time.Millisecond })
	c := s.dial()
	_, err := io.WriteString(c, request)
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.NoError(t, err)
}

func TestHeadsHaveTheirTime(t *testing.T) {
	for name, first := range map[string]string{"first": "", "second": request} {
		t.Run(name, func(t *testing.T) {
			s := start(t, show, false, func(h *http.Server) { h.ReadHeaderTimeout = 50 * time.Millisecond })
			c := s.dial()
			_, err := io.WriteString(c, first+"GET / HTTP/1.1\r\nHost")
			require.NoError(t, err)
			_, err = io.ReadAll(c)
			require.NoError(t, err)
		})
	}
}

// shutDown begins to end the server; the result comes by the channel.
func (s *server) shutDown(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.front.Shutdown(ctx) }()

	return done
}

func TestShutdownLosesNoRequest(t *testing.T) {
	release := make(chan struct{})
	h := newHandled()
	s := start(t, h.wait(release), false)

	kept, fresh, busy := s.dial(), s.dial(), s.dial()
	_, err := io.WriteString(busy, request)
	require.NoError(t, err)
	await(t, h.begun, "the request")

	done := s.shutDown(t.Context())
	_, err = io.WriteString(fresh, request)
	require.NoError(t, err)
	await(t, h.begun, "the request of a connection that had none yet")
	require.NoError(t, kept.CloseWrite()) // it has nothing to say
	close(release)

	for _, c := range []net.Conn{busy, fresh} {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.True(t, resp.Close)
		require.NoError(t, resp.Body.Close())
	}

	require.NoError(t, <-done)
}

func TestShutdownEndsIdleConnectionsAtOnce(t *testing.T) {
	s := start(t, show, false)
	c := s.dial()
	in := bufio.NewReader(c)
	_, err := io.WriteString(c, request)
	require.NoError(t, err)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)

	require.NoError(t, <-s.shutDown(t.Context()))
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	h := newHandled()
	s := start(t, h.wait(nil), false)
	c := s.dial()
	_, err := io.WriteString(c, request)
	require.NoError(t, err)
	await(t, h.begun, "the request")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, <-s.shutDown(ctx), context.Canceled)
	require.NoError(t, s.front.Close())
	await(t, h.ended, "the cancellation")
	all, _ := io.ReadAll(c)
	require.Empty(t, string(all))
}
