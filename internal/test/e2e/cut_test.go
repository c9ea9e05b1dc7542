package e2e_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
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
