package pace_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/internal/test/boxed"
)

// hijacked is a writer with a connection.
type hijacked struct{ conn net.Conn }

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

// layer is a connection that has another one below, and hides what that can do.
type layer struct{ net.Conn }

func (l layer) NetConn() net.Conn { return l.Conn }

// A response of unknown length by HTTP/1.0 looks whole if its connection ends in order, be it by TCP or by TLS.
func TestResetIsNoEndInOrder(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	boxed.Certificate(t, cert, key, "server")
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)

	config := &tls.Config{
		Certificates:       []tls.Certificate{pair},
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true,
	}
	plain := func(c net.Conn) net.Conn { return c }
	layered := func(c net.Conn) net.Conn { return layer{c} }
	server := func(c net.Conn) net.Conn { return tls.Server(c, config) }
	client := func(c net.Conn) net.Conn { return tls.Client(c, config) }

	for name, test := range map[string]struct {
		network string
		layers  []func(net.Conn) net.Conn
		client  func(net.Conn) net.Conn
		want    error
	}{
		"TCP":                  {"tcp", nil, plain, syscall.ECONNRESET},
		"two layers":           {"tcp", []func(net.Conn) net.Conn{layered, layered}, plain, syscall.ECONNRESET},
		"TLS":                  {"tcp", []func(net.Conn) net.Conn{server}, client, syscall.ECONNRESET},
		"TLS between layers":   {"tcp", []func(net.Conn) net.Conn{layered, server, layered}, client, syscall.ECONNRESET},
		"TLS by a Unix socket": {"unix", []func(net.Conn) net.Conn{server, layered}, client, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			address := map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")}[test.network]
			l, err := net.Listen(test.network, address)
			require.NoError(t, err)
			defer l.Close()

			raw, err := net.Dial(test.network, l.Addr().String())
			require.NoError(t, err)
			defer raw.Close()
			require.NoError(t, raw.SetDeadline(time.Now().Add(time.Minute)))

			c, err := l.Accept()
			require.NoError(t, err)

			for _, over := range test.layers {
				c = over(c)
			}

			// What is read has to be there before the reset, which drops it.
			proceed := make(chan struct{})
			reset := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c, "begun,")
				<-proceed
				pace.Reset(hijacked{c})
				reset <- err
			}()

			got := test.client(raw)
			_, err = io.ReadFull(got, make([]byte, len("begun,")))
			close(proceed)
			require.NoError(t, err)

			// Not even TLS's last alert, by which its client would know the end.
			_, err = raw.Read(make([]byte, 1))
			require.ErrorIs(t, err, test.want)
			require.NoError(t, <-reset)
		})
	}
}
