package spawner

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// closedSocket listens on a socket that only the user uid may connect to.
func closedSocket(t testing.TB, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "") //nolint:usetesting // its path has to be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.Chown(path, uid, uid))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}

			_ = conn.Close()
		}
	}()

	return path
}

// withoutOverrides is a core, which has no CAP_DAC_OVERRIDE.
func withoutOverrides(t testing.TB) {
	t.Helper()
	before := overrides
	overrides = func() bool { return false }
	t.Cleanup(func() { overrides = before })
}

func TestClosedSocketIsOpenToItsUserOnly(t *testing.T) {
	interpreters.Root(t, "to become another user")
	withoutOverrides(t)
	const alice, bob = 61001, 61002
	path := closedSocket(t, alice)
	_, err := dialUnix(t.Context(), path, bob)
	require.ErrorIs(t, err, os.ErrPermission)
	conn, err := dialUnix(t.Context(), path, alice)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	// The thread has its own rights again.
	const ask = -1
	uid, err := unix.SetfsuidRetUid(ask)
	require.NoError(t, err)
	require.Zero(t, uid)

	// Nor is it kept for this goroutine, and lost with it.
	stack := make([]byte, 1<<10)
	require.NotContains(t, string(stack[:runtime.Stack(stack, false)]), "locked to thread")
}

// BenchmarkDial is what it costs to connect as the user of a socket.
func BenchmarkDial(b *testing.B) {
	interpreters.Root(b, "to become another user")

	const alice = 61001
	for name, prepare := range map[string]func(testing.TB){
		"as root":     func(testing.TB) {},
		"as its user": withoutOverrides,
	} {
		b.Run(name, func(b *testing.B) {
			prepare(b)

			path := closedSocket(b, alice)
			for b.Loop() {
				conn, err := dialUnix(b.Context(), path, alice)
				require.NoError(b, err)
				require.NoError(b, conn.Close())
			}
		})
	}
}
