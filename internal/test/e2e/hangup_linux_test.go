package e2e_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/pty"
)

// TestTerminalThatIsGoneEndsTheServer closes a terminal during a request, which is
// finished (E15).
func TestTerminalThatIsGoneEndsTheServer(t *testing.T) {
	t.Parallel()
	terminal, err := pty.Open(80, 24)
	require.NoError(t, err)
	defer terminal.Close()
	s := &server{sandbox: newSandbox(t)}
	s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
		dir: t.TempDir(), args: append(testApp(t), "--address", "127.0.0.1", "--port", "0"),
	})
	s.Cmd.Stdin = terminal.Program
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.run(t)
	s.url = s.Address(t)
	c := s.client(t)
	response := c.background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	apps := s.apps(t)

	require.NoError(t, terminal.Close())
	s.Stdout.Await(t, stopping, 1, s.Ended)
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGUSR1))
	a := <-response
	require.NoError(t, a.err)
	require.Equal(t, 200, a.StatusCode)
	s.requireExit(t, 0)
}
