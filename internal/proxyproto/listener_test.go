package proxyproto_test

import (
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyproto"
	"github.com/gopassenger/passenger/internal/test/pipenet"
)

// told are the refusals of a listener.
type told struct {
	mu   sync.Mutex
	errs []error
}

func (r *told) add(_ net.Addr, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *told) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

// stand is a listener in virtual time, whose peers come from an address.
type stand struct {
	*testing.T
	pipes    *pipenet.Listener
	listener *proxyproto.Listener
	refused  told
}

func onStand(t *testing.T, test func(s *stand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stand{T: t, pipes: pipenet.NewListener(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})}
		s.listener = proxyproto.Listen(s.pipes, proxyproto.Config{
			Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Refused: s.refused.add,
		})
		test(s)
		require.NoError(t, s.listener.Close())
		_, err := s.listener.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

type addressed struct {
	net.Conn
	peer net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.peer }

func (s *stand) dial(peer net.Addr) net.Conn {
	s.Helper()
	client, server := net.Pipe()
	require.NoError(s, s.pipes.Connect(s.Context(), addressed{server, peer}))
	s.Cleanup(func() { _ = client.Close() })

	return client
}

type strange struct{}

func (strange) Network() string { return "tcp" }
func (strange) String() string  { return "192.0.2.7:4711" }

var proxy = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}

// closed makes sure that the listener has closed the connection.
func (s *stand) closed(c net.Conn) {
	s.Helper()
	_, err := io.ReadAll(c)
	require.NoError(s, err)
}

func TestConnectionsOfProxiesAreTheirClients(t *testing.T) {
	onStand(t, func(s *stand) {
		for header, client := range map[string]string{
			"PROXY TCP4 198.51.100.1 127.0.0.1 4711 80\r\n": "198.51.100.1:4711",
			v2(0x20, 0, ""):     "unknown",
			"PROXY UNKNOWN\r\n": "unknown",
		} {
			c := s.dial(proxy)
			go func() { _, _ = io.WriteString(c, header+"hello") }()
			got, err := s.listener.Accept()
			require.NoError(s, err)
			require.Equal(s, client, got.RemoteAddr().String())

			// No deadline is left of the header's.
			time.Sleep(2 * proxyproto.HeaderTimeout)
			b := make([]byte, 5)
			_, err = io.ReadFull(got, b)
			require.NoError(s, err)
			require.Equal(s, "hello", string(b))
			require.NoError(s, got.Close())
		}

		require.Empty(s, s.refused.all())
	})
}

// Faults: R-49.
func TestPeersThatAreNoProxiesAreClosed(t *testing.T) {
	onStand(t, func(s *stand) {
		for _, peer := range []net.Addr{
			&net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 1},
			&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1},
			&net.UnixAddr{Name: "@", Net: "unix"},
			strange{},
		} {
			s.closed(s.dial(peer))
		}

		errs := s.refused.all()
		require.Len(s, errs, 4)

		for _, err := range errs {
			require.ErrorIs(s, err, proxyproto.ErrPeer)
		}
	})
}

func TestHeadersThatAreNoneOrSlowEndTheConnection(t *testing.T) {
	onStand(t, func(s *stand) {
		n := 0
		for name, header := range malformed {
			if name == "nothing" {
				continue
			}

			n++
			c := s.dial(proxy)
			go func() { _, _ = io.WriteString(c, header) }()
			began := time.Now()
			s.closed(c)
			require.LessOrEqual(s, time.Since(began), proxyproto.HeaderTimeout, name)
		}

		require.Len(s, s.refused.all(), n)

		// One byte a second is no way around the deadline.
		slow := s.dial(proxy)
		began := time.Now()

		for _, b := range []byte("PROXY UNKNOWN\r\n") {
			if _, err := slow.Write([]byte{b}); err != nil {
				break
			}

			time.Sleep(time.Second)
		}

		require.LessOrEqual(s, time.Since(began), 2*proxyproto.HeaderTimeout)
		s.closed(slow)
	})
}

// Load balancers look whether a server listens.
func TestConnectionsWithoutAByteAreNoRefusal(t *testing.T) {
	onStand(t, func(s *stand) {
		require.NoError(s, s.dial(proxy).Close())
		synctest.Wait()
		require.Empty(s, s.refused.all())
	})
}

func TestSlowProxiesHoldUpNoOtherConnection(t *testing.T) {
	onStand(t, func(s *stand) {
		conns := make([]net.Conn, proxyproto.MaxPending)
		for i := range conns {
			conns[i] = s.dial(proxy)
		}

		synctest.Wait()
		c := s.dial(proxy)
		go func() { _, _ = io.WriteString(c, "PROXY UNKNOWN\r\n") }()
		got, err := s.listener.Accept()
		require.NoError(s, err)
		require.NoError(s, got.Close())

		require.Len(s, s.refused.all(), 1, "the oldest has given way")
		require.ErrorIs(s, s.refused.all()[0], proxyproto.ErrTooMany)
	})
}

// What was accepted when the listener ends is passed on.
func TestListenerEndsWithTheOneBelow(t *testing.T) {
	onStand(t, func(s *stand) {
		c := s.dial(proxy)
		synctest.Wait()
		require.NoError(s, s.pipes.Close())
		go func() { _, _ = io.WriteString(c, "PROXY UNKNOWN\r\n") }()
		got, err := s.listener.Accept()
		require.NoError(s, err)
		require.NoError(s, got.Close())
		_, err = s.listener.Accept()
		require.ErrorIs(s, err, net.ErrClosed)
	})
}

func TestPeersOnUnixSocketsAreProxiesWhereConfigured(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		require.NoError(t, err)
		p := proxyproto.Listen(l, proxyproto.Config{Unix: allowed})
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Addr().String(), Net: "unix"})
		require.NoError(t, err)
		if !allowed {
			_, err = io.ReadAll(c)
			require.NoError(t, err)
		} else {
			_, err = io.WriteString(c, "PROXY TCP6 2001:db8::1 ::1 1 2\r\nrest")
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			got, err := p.Accept()
			require.NoError(t, err)
			require.Equal(t, "[2001:db8::1]:1", got.RemoteAddr().String())
			rest, err := io.ReadAll(got)
			require.NoError(t, err)
			require.Equal(t, "rest", string(rest))

			// It is as good as the connection itself.
			n, err := io.Copy(got, strings.NewReader("response"))
			require.NoError(t, err)
			require.EqualValues(t, 8, n)
			half, ok := got.(interface{ CloseWrite() error })
			require.True(t, ok)
			require.NoError(t, half.CloseWrite())
			response, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "response", string(response))
			require.NoError(t, got.Close())
		}

		require.NoError(t, c.Close())
		require.NoError(t, p.Close())
	}
}
