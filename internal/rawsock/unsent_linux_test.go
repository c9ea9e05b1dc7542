package rawsock_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/rawsock"
)

type above struct{ below net.Conn }

func (a above) NetConn() net.Conn { return a.below }

func TestUnsentFallsAsTheOtherEndReads(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		left, known := rawsock.Unsent(near)
		require.True(t, known)
		require.Zero(t, left)

		// Until the kernel takes no more.
		require.NoError(t, near.SetWriteDeadline(time.Now().Add(time.Second/2)))

		var written int64
		for {
			n, err := near.Write(make([]byte, 32<<10))
			written += int64(n)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}

			require.NoError(t, err)
		}

		left, known = rawsock.Unsent(struct {
			net.Conn
			above
		}{nil, above{near}})
		require.True(t, known)
		require.Positive(t, left)

		require.NoError(t, far.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err := io.CopyN(io.Discard, far, written)
		require.NoError(t, err)

		require.Eventually(t, func() bool {
			left, known := rawsock.Unsent(near)
			return known && left == 0
		}, 10*time.Second, time.Millisecond)
	})
}

func TestUnsentOfOtherConnectionsIsUnknown(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()

	_, known := rawsock.Unsent(a)
	require.False(t, known)

	near, _ := pair(t, "tcp")
	require.NoError(t, near.Close())
	_, known = rawsock.Unsent(near)
	require.False(t, known)
}
