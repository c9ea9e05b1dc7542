package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/printed"
)

// A deploy that waits for its new processes learns when the server ends before, in words of the user's.
func TestRestartThatTheServersEndInterrupts(t *testing.T) {
	t.Parallel()
	m := newMoody(t)
	s := start(t, &launch{dir: m.dir, args: m.args()})
	s.Stdout.Await(t, ": started in ", 1, s.Ended)
	m.mark("slow")

	var out printed.Output
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(built, "passenger"), "restart-app",
		m.dir, "--wait")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.Dir, s.Env(), &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()

	s.Stderr.Await(t, "msg=restarting", 1, s.Ended)
	s.stop(t)
	<-ended
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, out.String(), "*** ERROR: the restart of ")
	require.Contains(t, out.String(), " was interrupted: the server, or the core that a reload replaces, ends before ")
	require.Contains(t, out.String(), "'passenger status' shows what serves.")
}
