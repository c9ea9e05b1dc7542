package spawner

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessWhoseFilesAreClosedByTheSystemIsEnding(t *testing.T) {
	require.False(t, isEnding(os.Getpid()))

	for range 50 {
		// Its name has what separates the fields.
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `printf ') R 1 ('>/proc/$$/comm; echo; read -r line`)
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())

		_, err = out.Read(make([]byte, 1))
		require.NoError(t, err)
		require.False(t, isEnding(cmd.Process.Pid))
		require.NoError(t, syscall.Kill(cmd.Process.Pid, syscall.SIGKILL))

		_, err = out.Read(make([]byte, 1))
		require.Error(t, err, "the end of its output")
		require.True(t, isEnding(cmd.Process.Pid))
		require.NoError(t, in.Close())
		require.Error(t, cmd.Wait())
		require.True(t, isEnding(cmd.Process.Pid), "it is gone")
	}
}
