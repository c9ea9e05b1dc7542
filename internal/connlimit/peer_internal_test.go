package connlimit

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

type remoteConn struct {
	net.Conn
	remote string
}

func (c remoteConn) RemoteAddr() net.Addr { return addr(c.remote) }

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

func TestClientsAreAddressesOrPrefixes(t *testing.T) {
	for remote, name := range map[string]string{
		"192.0.2.7:80":              "192.0.2.7",
		"[::ffff:192.0.2.7]:80":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"pipe":                      "pipe",
	} {
		require.Equal(t, peer{name: name}, peerOf(remoteConn{remote: remote}), remote)
	}
}
