package sockdiag

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBacklogCountsTheConnectionsThatAreNotAccepted(t *testing.T) {
	for network, address := range map[string]string{
		"tcp":  "127.0.0.1:0",
		"unix": filepath.Join(t.TempDir(), "s"),
	} {
		t.Run(network, func(t *testing.T) {
			l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
			require.NoError(t, err)
			defer func() { _ = l.Close() }()

			socket, ok := l.(syscall.Conn)
			require.True(t, ok)

			backlog := func(want int) {
				t.Helper()
				n, err := Backlog(socket)
				require.NoError(t, err)
				require.Equal(t, want, n)
			}
			backlog(0)

			for i := range 3 {
				c, err := new(net.Dialer).DialContext(t.Context(), network, l.Addr().String())
				require.NoError(t, err)
				defer func() { _ = c.Close() }()
				backlog(i + 1)
			}

			c, err := l.Accept()
			require.NoError(t, err)
			require.NoError(t, c.Close())
			backlog(2)

			require.NoError(t, l.Close())
			_, err = Backlog(socket)
			require.Error(t, err)
		})
	}
}

func TestBacklogOfAKernelThatSaysSomethingElseIsUnavailable(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 20), make([]byte, 100)} {
		_, err := parseUnixQueue(b)
		require.ErrorIs(t, err, ErrUnavailable)
	}

	whole := make([]byte, 32+8)
	whole[4] = sockDiagByFamily
	whole[32], whole[34] = 200, queues
	_, err := parseUnixQueue(whole)
	require.ErrorIs(t, err, ErrUnavailable)
}
