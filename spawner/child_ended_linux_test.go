package spawner

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A signal counts as the reason of an end only if the process was there for it: on a busy machine, that it has ended is
// noticed later.
func TestSignalBehindTheEndIsNotItsReason(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/bin/cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{pid: cmd.Process.Pid, status: "signal: killed"}
	require.False(t, hasEnded(c.pid))

	require.NoError(t, syscall.Kill(c.pid, syscall.SIGKILL))
	require.NoError(t, unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil))
	require.True(t, hasEnded(c.pid), "it is a zombie")
	c.noteSent(syscall.SIGKILL)
	require.Equal(t, "signal: killed", c.ownStatus())

	require.NoError(t, in.Close())
	require.Error(t, cmd.Wait())
	require.True(t, hasEnded(c.pid), "it is gone")

	c.pid = os.Getpid()
	c.noteSent(syscall.SIGKILL)
	require.Empty(t, c.ownStatus(), "it ended by us")
}
