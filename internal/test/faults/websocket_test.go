//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func (s *server) dialWebSocket(ctx context.Context, t testing.TB) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{}
	conn, resp, err := websocket.Dial(ctx, "ws://"+s.addr+"/socket",
		&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	t.Cleanup(func() {
		_ = conn.CloseNow() // most are closed already
		transport.CloseIdleConnections()
	})
	conn.SetReadLimit(2 * megabyte)

	return conn
}

// withDeadline returns a context that ends with the test, or at the deadline.
func withDeadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)

	return ctx
}

func TestWebSocketConformance(t *testing.T) {
	s := nodeApp(t, "websocket").start(t)
	t.Run("Messages", func(t *testing.T) { requireMessages(t, s) })
	t.Run("Fragments", func(t *testing.T) { requireFragments(t, s) })
	t.Run("Pings", func(t *testing.T) { requirePings(t, s) })
	t.Run("CodesOfTheServer", func(t *testing.T) { requireServerCodes(t, s) })
	t.Run("CodesOfTheClient", func(t *testing.T) { requireClientCodes(t, s) })
	t.Run("BehindTheRequest", func(t *testing.T) {
		c := s.socket(t, &frame{final | opText, "first"}, &frame{final | opText, "second"})
		require.Equal(t, &frame{final | opText, "first"}, c.frame(t))
		require.Equal(t, &frame{final | opText, "second"}, c.frame(t))
	})
	t.Run("Unmasked", func(t *testing.T) {
		// The application refuses it: the server in between has no opinion.
		c := s.socket(t)
		c.say("\x81\x02hi")
		require.Equal(t, &frame{final | opClose, "\x03\xea"}, c.frame(t), "code 1002")
	})
	t.Run("Many", func(t *testing.T) { requireManySockets(t, s) })
}

func requireMessages(t *testing.T, s *server) {
	t.Helper()
	ctx := withDeadline(t)
	conn := s.dialWebSocket(ctx, t)
	large := make([]byte, megabyte)

	_, _ = rand.NewChaCha8([32]byte{}).Read(large) // never fails
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, megabyte} {
		require.NoError(t, conn.Write(ctx, websocket.MessageBinary, large[:size]))
		kind, data, err := conn.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		require.True(t, string(large[:size]) == string(data), //nolint:testifylint // large
			"%d bytes came back as %d others",
			size,
			len(data))
		text := strings.Repeat("ü", size/2) + strings.Repeat("u", size%2)
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(text)))
		kind, data, err = conn.Read(ctx)
		require.NoError(t, err)
		require.Equal(t, websocket.MessageText, kind)
		require.True(t, text == string(data), //nolint:testifylint // large
			"a text of %d bytes came back as another of %d",
			size,
			len(data))
	}

	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
}

func requireFragments(t *testing.T, s *server) {
	t.Helper()

	c := s.socket(t)
	for i, f := range []*frame{
		{opText, "one "},
		{opContinuation, ""},
		{opContinuation, "two "},
		{final | opContinuation, "three"},
	} {
		c.say(f.masked())
		ping := &frame{final | opPing, fmt.Sprintf("between %d", i)}
		if i == 3 {
			break
		}

		c.say(ping.masked())
		require.Equal(t, &frame{final | opPong, ping.payload}, c.frame(t))
	}

	require.Equal(t, &frame{final | opText, "one two three"}, c.frame(t))
}

func requirePings(t *testing.T, s *server) {
	t.Helper()

	c := s.socket(t)
	for _, payload := range []string{"", "x", "\x00\xff\r\n", strings.Repeat("y", 125)} {
		c.say((&frame{final | opPing, payload}).masked())
		require.Equal(t, &frame{final | opPong, payload}, c.frame(t))
	}

	c.say((&frame{final | opText, "ping payload"}).masked())
	require.Equal(t, &frame{final | opPing, "payload"}, c.frame(t))
	c.say((&frame{final | opPong, "payload"}).masked())
	require.Equal(t, &frame{final | opText, "pong payload"}, c.frame(t))
}

var closeCodes = []websocket.StatusCode{1000, 1001, 1008, 3000, 4999}

func requireServerCodes(t *testing.T, s *server) {
	t.Helper()

	ctx := withDeadline(t)
	for _, code := range closeCodes {
		conn := s.dialWebSocket(ctx, t)
		require.NoError(t, conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "close %d", code)))
		_, _, err := conn.Read(ctx)
		var closed websocket.CloseError
		require.ErrorAs(t, err, &closed)
		require.Equal(t, websocket.CloseError{Code: code, Reason: "as you wish"}, closed)
	}

	c := s.socket(t)
	c.say((&frame{final | opText, "close"}).masked())
	require.Equal(t, &frame{final | opClose, ""}, c.frame(t))
	c.say((&frame{final | opClose, ""}).masked())
	require.Empty(t, c.rest())
}

func requireClientCodes(t *testing.T, s *server) {
	t.Helper()
	ctx := withDeadline(t)

	// That of a close without a code is 1005.
	for _, code := range append(closeCodes, 1005) {
		if code == 1005 {
			c := s.socket(t)
			c.say((&frame{final | opClose, ""}).masked())
			require.Equal(t, &frame{final | opClose, ""}, c.frame(t))
			require.Empty(t, c.rest())
			require.NoError(t, c.Close())
		} else {
			// The error would be the code that came back, if that is another.
			require.NoError(t, s.dialWebSocket(ctx, t).Close(code, "enough"))
		}

		eventually(t, func() error {
			if codes := s.client(t).requireOK(t, "/codes"); !strings.HasSuffix(codes, fmt.Sprintf("%d]", code)) {
				return fmt.Errorf("the application got the codes %s, and not %d", codes, code)
			}

			return nil
		})
	}
}

func requireManySockets(t *testing.T, s *server) {
	t.Helper()
	ctx := withDeadline(t)

	conns := make([]*websocket.Conn, 50)
	for i := range conns {
		conns[i] = s.dialWebSocket(ctx, t)
	}

	errs := make(chan error, len(conns))

	var wg sync.WaitGroup
	for i, conn := range conns {
		wg.Go(func() {
			for n := range 20 {
				sent := fmt.Sprintf("%d of socket %d", n, i)
				if err := conn.Write(ctx, websocket.MessageText, []byte(sent)); err != nil {
					errs <- err
					return
				}

				if _, got, err := conn.Read(ctx); err != nil || string(got) != sent {
					errs <- fmt.Errorf("%q came back as %q: %w", sent, got, err)
					return
				}
			}
		})
	}

	wg.Wait()
	close(errs)

	for err := range errs {
		require.NoError(t, err)
	}
}
