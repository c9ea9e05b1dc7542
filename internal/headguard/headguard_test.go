package headguard_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/headguard"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/rawsock"
)

const deadline = 10 * time.Second

// site is a server behind a guard, whose handler says what it has got.
type site struct {
	*testing.T

	addr net.Addr
	tls  *tls.Config // for clients; nil means that it is not spoken
	said lockedBuilder
	// states gets what the server tells of its connections.
	mu     sync.Mutex
	states []http.ConnState
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, network string, secure bool, change func(*headguard.Guard, *http.Server)) *site {
	t.Helper()
	s := &site{T: t}
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}

	l, err := net.Listen(network, address)
	require.NoError(t, err)
	s.addr = l.Addr()

	guard := &headguard.Guard{
		Limits:        httphead.Limits{Head: 8 << 10},
		HeaderTimeout: deadline,
		ErrorLog:      log.New(&s.said, "", 0),
		Track: func(_ net.Conn, state http.ConnState) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.states = append(s.states, state)
		},
	}
	server := &http.Server{
		Handler:           guard.Handler(http.HandlerFunc(echo)),
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: deadline,
		ConnState:         guard.ConnState,
		ConnContext:       guard.ConnContext,
		ErrorLog:          guard.ErrorLog,
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	if change != nil {
		change(guard, server)
	}

	var config *tls.Config
	if secure {
		keys := httptest.NewUnstartedServer(nil)
		keys.StartTLS()
		config = &tls.Config{Certificates: keys.TLS.Certificates, MinVersion: tls.VersionTLS12}
		transport := keys.Client().Transport.(*http.Transport) //nolint:forcetypeassert,errcheck // it is
		s.tls = transport.TLSClientConfig.Clone()
		s.tls.ServerName = "example.com"
		keys.Close()
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(guard.Listener(rawsock.Listener(l), config))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})

	return s
}

// echo says what it was asked for; an Upgrade to "talk" becomes a conversation.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "talk" && r.URL.Path == "/talk" {
		talk(w)
		return
	}

	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "broken: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}

	_, _ = fmt.Fprintf(w, "%s %s %s tls=%v strict=%v %q", r.Proto, r.Method, r.RequestURI, r.TLS != nil,
		httphead.IsStrict(r.Context()), body)
}

func talk(w http.ResponseWriter) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: talk\r\n\r\n")
	_, _ = io.Copy(c, buffered)
}

func (s *site) dial() net.Conn {
	s.Helper()
	c, err := net.Dial(s.addr.Network(), s.addr.String())
	require.NoError(s, err)
	s.Cleanup(func() { _ = c.Close() })
	require.NoError(s, c.SetDeadline(time.Now().Add(deadline)))
	if s.tls != nil {
		config := s.tls.Clone()
		config.NextProtos = nil
		return tls.Client(c, config)
	}

	return c
}

// converse sends pieces and returns the statuses and bodies of the responses, up to the
// end of the connection.
func (s *site) converse(pieces ...string) (statuses []int, bodies []string) {
	s.Helper()
	c := s.dial()
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}()

	br := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			require.False(s, errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout"),
				"the server does not close: %v", err)
			return statuses, bodies
		}

		body, err := io.ReadAll(resp.Body)
		require.NoError(s, err)
		statuses, bodies = append(statuses, resp.StatusCode), append(bodies, string(body))
	}
}

const (
	good  = "GET /good HTTP/1.1\r\nHost: x\r\n\r\n"
	last  = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	post  = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	chunk = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n3;a\r\nabc\r\n2\r\nde\r\n0\r\nX-A: b\r\n\r\n"
	asks = "GET /stay HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: talk\r\n\r\n"
	bad  = "GET /bad HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n"
)

func each(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()

	for name, c := range map[string]struct {
		network string
		secure  bool
	}{
		"TCP": {"tcp", false}, "Unix": {"unix", false}, "TLS": {"tcp", true},
	} {
		t.Run(name, func(t *testing.T) { test(t, serve(t, c.network, c.secure, nil)) })
	}
}

func TestRequestsInAnyPieces(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		raw := good + post + "\r\n" + chunk + asks + good + chunk + last

		want := []int{200, 200, 200, 200, 200, 200, 200}
		for _, size := range []int{1, 2, 3, 7, 64, len(raw)} {
			var pieces []string
			for rest := raw; rest != ""; rest = rest[min(size, len(rest)):] {
				pieces = append(pieces, rest[:min(size, len(rest))])
			}

			statuses, bodies := s.converse(pieces...)
			require.Equal(t, want, statuses, "pieces of %d: %q", size, bodies)
			require.Contains(t, bodies[1], `"hello"`)
			require.Contains(t, bodies[2], `"abcde"`)
			require.Contains(t, bodies[0], fmt.Sprintf("tls=%v strict=true", s.tls != nil))
		}
	})
}

// Two pieces, cut at each byte.
func TestRequestsCutAtEachByte(t *testing.T) {
	s := serve(t, "tcp", false, nil)

	raw := chunk + asks + post + last
	for i := range len(raw) {
		statuses, bodies := s.converse(raw[:i], raw[i:])
		require.Equal(t, []int{200, 200, 200, 200}, statuses, "cut at %d: %q", i, bodies)
	}
}

// What came before the guard had the connection is checked like the rest.
func TestFirstBytesOfAConnection(t *testing.T) {
	guard := &headguard.Guard{Limits: httphead.Limits{Head: 8 << 10}}
	for name, test := range map[string]struct {
		first, rest string
		pieces      []string
	}{
		"nothing":               {"", good, []string{good}},
		"a request":             {good, post, []string{good, post}},
		"two requests":          {good + post, last, []string{good + post, last}},
		"a part of a head":      {good[:9], good[9:], []string{good}},
		"a part of a body":      {post[:len(post)-2], post[len(post)-2:], []string{post[:len(post)-2], post[len(post)-2:]}},
		"a part of the next":    {good + post[:9], post[9:], []string{good, post}},
		"something that is bad": {good + bad, good, []string{good + "GET /"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			c := guard.Conn(server, []byte(test.first))
			defer c.Close()

			go func() { _, _ = io.WriteString(client, test.rest) }()

			p := make([]byte, 4<<10)
			for _, want := range test.pieces {
				n, err := c.Read(p)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(string(p[:n]), want), "%q is not %q", p[:n], want)

				if want != good+"GET /" {
					require.Len(t, want, n)
				} else {
					require.NotContains(t, string(p[:n]), "/bad")
				}
			}
		})
	}
}

func TestConversationBehindAnUpgradeIsNotLookedAt(t *testing.T) {
	const says = "\x81\x05hello\n\n\x00"
	each(t, func(t *testing.T, s *site) {
		for _, early := range []bool{false, true} {
			c := s.dial()
			ask := strings.Replace(asks, "/stay", "/talk", 1)
			if early {
				ask += says // before the server has agreed
			}

			_, err := io.WriteString(c, ask)
			require.NoError(t, err)
			br := bufio.NewReader(c)
			resp, err := http.ReadResponse(br, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			if !early {
				_, err = io.WriteString(c, says)
				require.NoError(t, err)
			}

			got := make([]byte, len(says))
			_, err = io.ReadFull(br, got)
			require.NoError(t, err)
			require.Equal(t, says, string(got))
		}
	})
}

// A client that leaves is noticed while its request is served, also if it has sent the
// beginning of another one.
func TestClientThatLeavesIsNoticed(t *testing.T) {
	for _, more := range []string{"", "GE", "GET / HTTP/1.1\r\nHost: x"} {
		came, gone := make(chan struct{}), make(chan struct{})
		s := serve(t, "tcp", false, func(g *headguard.Guard, server *http.Server) {
			server.Handler = g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(came)
				<-r.Context().Done()
				close(gone)
			}))
		})
		c := s.dial()
		_, err := io.WriteString(c, good+more)
		require.NoError(t, err)
		<-came
		require.NoError(t, c.Close())
		<-gone
	}
}

// A kept connection is not idle any more when the first byte of a head has come, and the
// rest has its time.
// Faults: R-48.
func TestHeadOnAKeptConnectionHasItsTime(t *testing.T) {
	s := serve(t, "tcp", false, func(g *headguard.Guard, server *http.Server) {
		g.HeaderTimeout, server.IdleTimeout = 50*time.Millisecond, time.Hour
	})
	c := s.dial()
	_, err := io.WriteString(c, good)
	require.NoError(t, err)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_, err = io.WriteString(c, "GET / HTT")
	require.NoError(t, err)
	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(t, []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive}, s.states[:4])
}

// A head that has come together with the request before, also behind an upgrade that was declined, has no first byte to
// wait for: its body, in pieces, must not be taken for another head, which would have the time of one.
func TestBodyOfAPipelinedRequestIsNotTakenForAHead(t *testing.T) {
	for name, before := range map[string]string{"request": good, "declined upgrade": asks} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "tcp", true, nil) // each write is a record, and read by itself
			c := s.dial()
			br := bufio.NewReader(c)

			head, body, _ := strings.Cut(chunk, "\r\n\r\n")
			for _, pieces := range [][]string{{before + head + "\r\n\r\n"}, {body[:1], body[1:4], body[4:]}} {
				for _, piece := range pieces {
					_, err := io.WriteString(c, piece)
					require.NoError(t, err)
				}

				resp, err := http.ReadResponse(br, nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
			}

			require.NoError(t, c.Close())
			require.Equal(t, []http.ConnState{
				http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateIdle, http.StateClosed,
			}, s.allStates())
		})
	}
}

// allStates waits for the end of the connection.
func (s *site) allStates() []http.ConnState {
	s.Helper()
	var states []http.ConnState
	require.Eventually(s, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		states = slices.Clone(s.states)

		return slices.Contains(states, http.StateClosed)
	}, deadline, time.Millisecond)

	return states
}
