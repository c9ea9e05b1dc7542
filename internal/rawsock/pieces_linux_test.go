package rawsock_test

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/rawsock"
)

// descriptor calls f with the descriptor of a connection.
func descriptor(t *testing.T, c net.Conn, f func(fd uintptr)) {
	t.Helper()
	s, ok := c.(syscall.Conn)
	require.True(t, ok)
	raw, err := s.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(f))
}

// What a call has sent is the beginning of the pieces, in their order; the rest is the caller's.
func TestPiecesAreSentInTheirOrder(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		large := bytes.Repeat([]byte("0123456789abcdef-"), 2*rawsock.MaxSendPieces/17)

		for name, pieces := range map[string]net.Buffers{
			"one":              {[]byte("one")},
			"empty ones":       {nil, []byte("a"), {}},
			"three":            {[]byte("head"), []byte("body"), []byte("end")},
			"more than a call": {[]byte("1"), []byte("2"), []byte("3"), []byte("4")},
			"large":            {[]byte("head"), large, []byte("end")},
		} {
			all := bytes.Join(pieces, nil)
			may := min(len(bytes.Join(pieces[:min(len(pieces), rawsock.MaxPieces)], nil)), rawsock.MaxSendPieces)

			descriptor(t, near, func(fd uintptr) {
				n, errno := rawsock.SendPieces(fd, pieces)
				require.Zero(t, errno, name)
				require.Positive(t, n, name)
				require.LessOrEqual(t, n, may, name)

				if len(all) < 100 {
					require.Equal(t, may, n, name)
				}

				got := make([]byte, n)
				_, err := io.ReadFull(far, got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(all[:n], got), name)
			})
		}
	})
}

// No call waits for the other end.
func TestPiecesForWhichThereIsNoRoom(t *testing.T) {
	each(t, func(t *testing.T, near, far net.Conn) {
		pieces := net.Buffers{make([]byte, rawsock.MaxSendPieces)}

		descriptor(t, near, func(fd uintptr) {
			for errno := syscall.Errno(0); errno != syscall.EAGAIN; {
				_, errno = rawsock.SendPieces(fd, pieces)
				require.Contains(t, []syscall.Errno{0, syscall.EAGAIN}, errno)
			}
		})

		require.NoError(t, far.Close())
		descriptor(t, near, func(fd uintptr) {
			errno := syscall.Errno(0)
			for errno == 0 || errno == syscall.EAGAIN {
				_, errno = rawsock.SendPieces(fd, pieces)
			}

			require.Contains(t, []syscall.Errno{syscall.EPIPE, syscall.ECONNRESET}, errno)
		})
	})
}
