package e2e_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that is asked to end ends in order, however far a reload has come.
func TestAReloadGivesUpWhenTheServerEnds(t *testing.T) {
	t.Parallel()

	t.Run("that was asked for by a signal just before", func(t *testing.T) {
		t.Parallel()
		box := newSandbox(t)
		s := &server{sandbox: box}
		s.Cmd = s.command(context.WithoutCancel(t.Context()), &launch{
			dir:  t.TempDir(),
			args: append(testApp(t), "--address", "127.0.0.1", "--port", "0"),
		})
		s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // there is no terminal
		s.run(t)
		s.Stdout.Await(t, "started in", 1, s.Ended)
		s.signal(t, syscall.SIGHUP)
		s.signal(t, syscall.SIGTERM)
		s.requireExit(t, 0)
		s.RequireNoCrash(t)
	})

	t.Run("that waits for a process", func(t *testing.T) {
		t.Parallel()
		m := newMoody(t)
		s := start(t, &launch{dir: m.dir, args: m.args()})
		s.Stdout.Await(t, "started in", 1, s.Ended)
		m.mark("slow")

		type told struct {
			text string
			err  error
		}
		reloaded := make(chan told, 1)
		go func() {
			out, err := s.reload(t)
			reloaded <- told{out, err}
		}()
		s.Stderr.Await(t, "path=/reload.json", 1, s.Ended)
		s.signal(t, syscall.SIGTERM)
		s.requireExit(t, 0)

		a := <-reloaded
		require.Error(t, a.err)
		require.Contains(t, a.text, "is not reloaded: the server is about to end, and takes no new configuration")
	})
}
