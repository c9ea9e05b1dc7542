package e2e_test

import (
	"context"
	"strings"
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
	s := &server{sandbox: newSandbox(t), ended: make(chan struct{})}
	s.cmd = s.command(context.WithoutCancel(t.Context()), &launch{
		dir: t.TempDir(), args: append(testApp(t), "--address", "127.0.0.1", "--port", "0"),
	})
	s.cmd.Stdin = terminal.Program
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.run(t)
	s.stdout.await(t, "You can stop it", s.ended)
	s.url = strings.TrimSuffix(accessible.FindStringSubmatch(s.stdout.String())[1], "/")
	c := s.client(t)
	response := c.background(t, "/hold")
	s.stderr.await(t, heldText(1), s.ended)
	apps := s.apps(t)

	require.NoError(t, terminal.Close())
	s.stdout.await(t, stopping, s.ended)
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGUSR1))
	a := <-response
	require.NoError(t, a.err)
	require.Equal(t, 200, a.StatusCode)
	s.requireExit(t, 0)
}
