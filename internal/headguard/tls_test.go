package headguard_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	h2 "golang.org/x/net/http2"

	"github.com/gopassenger/passenger/internal/headguard"
)

func TestHTTP2(t *testing.T) {
	get := func(t *testing.T, transport *http.Transport, url string) (string, error) {
		t.Helper()
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)

		return string(body), err
	}
	t.Run("TLS", func(t *testing.T) {
		for _, h2 := range []bool{false, true} {
			s := serve(t, "tcp", true, nil)
			transport := &http.Transport{TLSClientConfig: s.tls, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(!h2)
			transport.Protocols.SetHTTP2(h2)
			body, err := get(t, transport, "https://"+s.addr.String()+"/a")
			require.NoError(t, err)
			require.Equal(t, map[bool]string{
				false: "HTTP/1.1",
				true:  "HTTP/2.0",
			}[h2]+` GET /a tls=true strict=true ""`, body)
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		for _, allowed := range []bool{false, true} {
			s := serve(t, "tcp", false, func(g *headguard.Guard, _ *http.Server) { g.HTTP2 = allowed })
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetUnencryptedHTTP2(true)
			body, err := get(t, transport, "http://"+s.addr.String()+"/a")
			if !allowed {
				require.Error(t, err)
				continue
			}

			require.NoError(t, err)
			require.Equal(t, `HTTP/2.0 GET /a tls=false strict=true ""`, body)
		}
	})
	t.Run("agreed on and not spoken", func(t *testing.T) {
		s := serve(t, "tcp", true, nil)
		raw, err := net.Dial("tcp", s.addr.String())
		require.NoError(t, err)
		defer raw.Close()
		config := s.tls.Clone()
		config.NextProtos = []string{"h2"}
		c := tls.Client(raw, config)
		_, err = io.WriteString(c, good)
		require.NoError(t, err)

		framer := h2.NewFramer(nil, c)
		settings, err := framer.ReadFrame()
		require.NoError(t, err)
		require.IsType(t, &h2.SettingsFrame{}, settings)

		end, err := framer.ReadFrame()
		require.NoError(t, err)
		goAway := end.(*h2.GoAwayFrame) //nolint:forcetypeassert,errcheck // or it panics
		require.Equal(t, h2.ErrCodeProtocol, goAway.ErrCode)
		require.Contains(t, string(goAway.DebugData()), "preface")

		_, err = framer.ReadFrame()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestPlainClientOfTLS(t *testing.T) {
	s := serve(t, "tcp", true, nil)
	s.tls = nil
	statuses, bodies := s.converse(good)
	require.Equal(t, []int{400}, statuses)
	require.Contains(t, bodies[0], "HTTPS")
	require.Eventually(t, func() bool {
		said := s.said.String()
		return strings.Contains(said, "TLS handshake error") &&
			strings.Contains(said, "client sent an HTTP request to an HTTPS server")
	}, deadline, time.Millisecond)
}

// timedConn notes the time that a write has.
type timedConn struct {
	net.Conn

	limits chan<- bool
}

func (c timedConn) SetWriteDeadline(t time.Time) error {
	c.limits <- !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

type timedListener struct {
	net.Listener

	limits chan bool
}

func (l *timedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return timedConn{c, l.limits}, err
}

// The time for the handshake is not the time for the responses.
func TestTimeOfAHandshakeEndsWithIt(t *testing.T) {
	s := serve(t, "tcp", true, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()

	keys := httptest.NewUnstartedServer(nil)
	keys.StartTLS()
	defer keys.Close()

	timed := &timedListener{l, make(chan bool, 10)}
	guard := &headguard.Guard{HeaderTimeout: deadline}
	before := slices.Clone(keys.TLS.NextProtos)
	guarded := guard.Listener(timed, keys.TLS)
	require.Equal(t, before, keys.TLS.NextProtos, "the configuration is the caller's")

	go func() {
		if c, err := tls.Dial("tcp", l.Addr().String(), s.tls); err == nil {
			_, _ = io.WriteString(c, good)
			_ = c.Close()
		}
	}()

	c, err := guarded.Accept()
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Read(make([]byte, len(good)))
	require.NoError(t, err)
	require.True(t, <-timed.limits)
	require.False(t, <-timed.limits)
}
