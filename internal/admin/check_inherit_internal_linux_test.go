package admin

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is asked for its version is started as an application would be.
func TestAskedProgramsInheritNothingThatIsForUs(t *testing.T) {
	signal.Ignore(unix.SIGUSR2)
	defer signal.Reset(unix.SIGUSR2)
	t.Setenv("NODE_CHANNEL_FD", "9")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("SHOP", "of the operator")

	ours := filepath.Join(t.TempDir(), "ours")
	fd, err := unix.Open(ours, unix.O_CREAT|unix.O_RDONLY, 0o600) // to be inherited
	require.NoError(t, err)
	defer unix.Close(fd)

	said, err := ask(t.Context(), "/bin/sh", "-c", `echo "$NODE_CHANNEL_FD,$NOTIFY_SOCKET,$SHOP"`)
	require.NoError(t, err)
	require.Equal(t, ",,of the operator", said)

	said, err = ask(t.Context(), "grep", "SigIgn", "/proc/self/status")
	require.NoError(t, err)
	ignored, err := strconv.ParseUint(said[len(said)-16:], 16, 64)
	require.NoError(t, err)
	require.Zero(t, ignored&(1<<(unix.SIGUSR2-1)))

	said, err = ask(t.Context(), "/bin/sh", "-c", "readlink /proc/$$/fd/"+strconv.Itoa(fd)+" || echo none")
	require.NoError(t, err)
	require.Equal(t, "none", said)
	require.FileExists(t, ours)

	require.NoError(t, os.Remove(ours))
}
