package spawner

import (
	"context"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/loaderproto"
)

// listenWithQueueOf returns a socket that lets n connections wait.
func listenWithQueueOf(t *testing.T, n int) (path string, accept func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Listen(fd, n))

	return path, func() {
		conn, _, err := unix.Accept(fd)
		require.NoError(t, err)
		require.NoError(t, unix.Close(conn))
	}
}

func TestDialWaitsForRoomInTheQueue(t *testing.T) {
	path, accept := listenWithQueueOf(t, 0)
	dial := dialer(loaderproto.Address{Network: "unix", Addr: path}, &owner{uid: syscall.Geteuid()})
	first, err := dial(t.Context())
	require.NoError(t, err)
	defer first.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = dial(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, syscall.EAGAIN)

	second := make(chan net.Conn, 1)
	go func() {
		conn, err := dial(context.WithoutCancel(ctx))
		if err == nil {
			second <- conn
		}

		close(second)
	}()
	accept()
	conn, ok := <-second
	require.True(t, ok)
	require.NoError(t, conn.Close())
}

func TestDialRefusesAnotherUsersSocket(t *testing.T) {
	path, _ := listenWithQueueOf(t, 5)
	_, err := dialer(loaderproto.Address{Network: "unix", Addr: path}, &owner{uid: syscall.Geteuid() + 1})(t.Context())
	require.ErrorIs(t, err, errPeer)
}
