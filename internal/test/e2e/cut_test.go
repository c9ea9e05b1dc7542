package e2e_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A client by HTTP/1.0, as web servers are, takes the end of the connection for that of a response without a length,
// whatever is between the client and the socket.
// Faults: B3.
func TestResponseByHTTP10ThatBreaksOffNeverLooksWhole(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	proxy := []string{"--proxy-protocol", "127.0.0.0/8"}

	for name, test := range map[string]struct {
		args   []string
		secure bool
		header string // of the PROXY protocol
	}{
		"TCP":                    {nil, false, ""},
		"TLS":                    {p.args(), true, ""},
		"PROXY protocol":         {proxy, false, proxyHeaderV1},
		"PROXY protocol and TLS": {append(p.args(), proxy...), true, proxyHeaderV2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), test.args...)})
			c, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://"))
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))

			_, err = io.WriteString(c, test.header)
			require.NoError(t, err)
			if test.secure {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}

			_, err = io.WriteString(c, "GET /cut HTTP/1.0\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			require.Error(t, err, "%s", got)
		})
	}
}

// Nor if the server itself is killed.
// Faults: E1, P3.
func TestResponseByHTTP10NeverLooksWholeWhereTheCoreIsKilled(t *testing.T) {
	t.Parallel()

	for _, kind := range []string{"front", "standard"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()

			s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--http-server", kind)})
			c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			require.NoError(t, err)
			defer c.Close()
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))

			_, err = io.WriteString(c, "GET /stream HTTP/1.0\r\nHost: x\r\n\r\n")
			require.NoError(t, err)

			r := bufio.NewReader(c)
			_, err = r.ReadString(',')
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))

			_, err = io.ReadAll(r)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			s.Stderr.Await(t, "an agent has died, and is started again", 1, s.Ended)
			require.NotEmpty(t, s.client(t).get(t, "/pid").body)
		})
	}
}
