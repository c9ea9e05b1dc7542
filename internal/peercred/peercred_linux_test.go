package peercred_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/peercred"
)

func TestOf(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	require.NoError(t, err)
	defer l.Close()
	near, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Addr().String(), Net: "unix"})
	require.NoError(t, err)
	defer near.Close()
	far, err := l.AcceptUnix()
	require.NoError(t, err)

	want := peercred.Cred{UID: os.Geteuid(), GID: os.Getegid(), PID: os.Getpid()}
	for _, conn := range []*net.UnixConn{near, far} {
		got, known, err := peercred.Of(conn)
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, want, got)
	}

	require.NoError(t, far.Close())
	_, known, err := peercred.Of(far)
	require.ErrorIs(t, err, net.ErrClosed)
	require.False(t, known)
}
