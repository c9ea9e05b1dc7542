package ustrouter

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// listenAs makes a socket whose listener is another user.
func listenAs(t *testing.T, socket string, uid int) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			done <- result{nil, errno}
			return
		}

		l, err := net.Listen("unix", socket)
		done <- result{l, err}
	}()
	r := <-done
	require.NoError(t, r.err)
	t.Cleanup(func() { _ = r.l.Close() })

	return r.l
}

// TestRouterOfAnotherUser is not sent anything.
func TestRouterOfAnotherUser(t *testing.T) {
	interpreters.Root(t, "to become other users")
	dir, err := os.MkdirTemp("", "ust") //nolint:usetesting // that of t is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777))

	for name, uid := range map[string]int{"another": 61001, "root": 0} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(dir, name)
			listenAs(t, socket, uid)
			conn, err := dialer(socket)(t.Context())
			if uid == 0 {
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				return
			}

			require.ErrorContains(t, err, "user 61001")
			require.ErrorContains(t, err, socket)
		})
	}
}

func TestOnlyUnixSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.ErrorContains(t, checkPeer(conn), "not one over a Unix socket")
	_, err = dialer(filepath.Join(t.TempDir(), "none"))(t.Context())
	require.ErrorIs(t, err, syscall.ENOENT)
	require.NotNil(t, NewRouter(Config{}, &memory{}, logr.Discard()).trust)
}
