package connlimit_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/connlimit"
)

// house is a server with limits.
type house struct {
	t       *testing.T
	limiter *connlimit.Limiter
	addr    string

	mu   sync.Mutex
	said []string
}

func open(t *testing.T, limits connlimit.Limits, h http.HandlerFunc) *house {
	t.Helper()
	s := &house{t: t}
	s.limiter = connlimit.New(limits, funcr.New(func(_, args string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said = append(s.said, args)
	}, funcr.Options{}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	server := &http.Server{Handler: h, ConnState: s.limiter.Track, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.limiter.Listener(l)) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})

	return s
}

func (s *house) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

func (s *house) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })

	return c
}

// ask sends a request and leaves the connection open.
func (s *house) ask(c net.Conn) *http.Response {
	s.t.Helper()
	resp, err := s.try(c)
	require.NoError(s.t, err)

	return resp
}

func (*house) try(c net.Conn) (*http.Response, error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return nil, err
	}

	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}

	return resp, resp.Body.Close()
}

// requireClosed waits for the end of a connection.
func requireClosed(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func nothing(http.ResponseWriter, *http.Request) {}

// Faults: R-48.
func TestSilentConnectionsOfAClientGiveWayToNewOnes(t *testing.T) {
	s := open(t, connlimit.Limits{Total: 100, PerClient: 5}, nothing)

	conns := make([]net.Conn, 0, 20)
	for i := range 20 {
		c := s.dial()
		if i%2 == 0 {
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo")
			require.NoError(t, err)
		}

		conns = append(conns, c)
	}

	for _, c := range conns[:15] {
		requireClosed(t, c)
	}

	require.Equal(t, 5, s.limiter.Open())
	require.Equal(t, http.StatusOK, s.ask(s.dial()).StatusCode)
	require.Contains(t, s.log(), `"client"="127.0.0.1"`)
	require.Equal(t, 1, strings.Count(s.log(), "a connection without a request was closed"), "one line")
}

// Behind a proxy that names them, a client's silent connections give way to its own, and to no one else's.
func TestConnectionsThatAProxyNamesCountForTheirClients(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	quiet := funcr.New(func(string, string) {}, funcr.Options{})
	limiter := connlimit.New(connlimit.Limits{Total: 100, PerClient: 2}, quiet)
	counted := limiter.Listener(l)
	t.Cleanup(func() { require.NoError(t, l.Close()) })

	// Each connection is of the client of that name as soon as it is accepted.
	dial := func(client string) (c net.Conn) {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		accepted, err := counted.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { _ = accepted.Close() })
		limiter.Assign(accepted, named(client))

		return c
	}

	victim := dial("198.51.100.1:1")
	six := dial("[2001:db8::1]:1")
	unknown := dial("unknown")

	attacker := make([]net.Conn, 0, 8)
	for i := range 8 {
		attacker = append(attacker, dial([]string{"203.0.113.9:1", "[::ffff:203.0.113.9]:2"}[i%2]))
	}

	for _, c := range attacker[:6] {
		requireClosed(t, c)
	}

	require.Equal(t, 5, limiter.Open())

	for _, c := range []net.Conn{victim, six, unknown, attacker[6], attacker[7]} {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
}

type named string

func (named) Network() string  { return "tcp" }
func (n named) String() string { return string(n) }

func TestConnectionsWithRequestsAreNotClosed(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := open(t, connlimit.Limits{Total: 4, PerClient: 2}, func(http.ResponseWriter, *http.Request) {
		begun <- struct{}{}
		<-release
	})

	var asking sync.WaitGroup
	for range 4 {
		c := s.dial()
		asking.Go(func() { _ = s.ask(c) })
		<-begun
	}

	requireClosed(t, s.dial())
	require.Contains(t, s.log(), "all of them have requests")

	close(release)
	asking.Wait()
	require.Eventually(t, func() bool {
		c := s.dial()
		go func() {
			select {
			case <-begun:
			case <-t.Context().Done():
			}
		}()
		resp, err := s.try(c)

		return err == nil && resp.StatusCode == http.StatusOK
	}, 30*time.Second, time.Millisecond, "as soon as one is idle, it gives way")
	require.LessOrEqual(t, s.limiter.Open(), 4)
}

func TestIdleConnectionsGiveWayToNewOnes(t *testing.T) {
	s := open(t, connlimit.Limits{Total: 3, PerClient: 3}, nothing)
	for range 10 {
		c := s.dial()
		require.Eventually(t, func() bool { return s.limiter.Open() <= 3 }, 30*time.Second, time.Millisecond)
		if resp, err := s.try(c); err == nil { // it may have come before the others were idle
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
	}

	require.LessOrEqual(t, s.limiter.Open(), 3)
}

func TestUpgradedConnectionsCountUntilTheyAreClosed(t *testing.T) {
	s := open(t, connlimit.Limits{Total: 2, PerClient: 2}, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}

		go func() {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
	})
	first := s.dial()
	require.Equal(t, http.StatusSwitchingProtocols, s.ask(first).StatusCode)
	require.Equal(t, http.StatusSwitchingProtocols, s.ask(s.dial()).StatusCode)
	requireClosed(t, s.dial())

	require.NoError(t, first.Close())
	require.Eventually(t, func() bool { return s.limiter.Open() == 1 }, 30*time.Second, time.Millisecond)
	require.Equal(t, http.StatusSwitchingProtocols, s.ask(s.dial()).StatusCode)
}

func TestManyClientsAtOnce(t *testing.T) {
	s := open(t, connlimit.Limits{Total: 30, PerClient: 10}, nothing)

	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 50 {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					continue
				}

				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n")
				_, _ = c.Read(make([]byte, 100))
				_ = c.Close()
			}
		})
	}

	clients.Wait()
	require.Eventually(t, func() bool { return s.limiter.Open() == 0 }, 30*time.Second, time.Millisecond)
}

func TestDefaultKeepsDescriptorsBack(t *testing.T) {
	for _, test := range []struct {
		descriptors uint64
		limits      connlimit.Limits
	}{
		{0, connlimit.Limits{Total: 1, PerClient: 1}},
		{64, connlimit.Limits{Total: 32, PerClient: 8}},
		{1024, connlimit.Limits{Total: 768, PerClient: 192}},
		{65536, connlimit.Limits{Total: 49152, PerClient: 12288}},
		{1 << 63, connlimit.Limits{Total: 3 << 28, PerClient: 3 << 26}},
	} {
		require.Equal(t, test.limits, connlimit.Default(test.descriptors), "of %d", test.descriptors)
	}
}
