package spawner

import (
	"bufio"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
)

// The shell that ends programs learns of each, of its process ID once it has one, and of its end.
func TestGuardIsToldOfEachProgram(t *testing.T) {
	shell, input, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, shell.Close()) })

	g := &guard{identity: &identity{}, input: input, timeout: guardTimeout}
	g.watch("mark")
	g.name("mark", 7)
	g.name("unknown", 8)
	g.forget("mark")
	g.forget("mark")
	require.NoError(t, input.Close())

	var told []string
	for lines := bufio.NewScanner(shell); lines.Scan(); {
		told = append(told, lines.Text())
	}

	require.Equal(t, []string{"+ mark", "+ mark 7", "- mark"}, told)
}

// A shell that was stopped, and lives again when it has a successor, would take the end of its list for the end of the
// server, and end all programs.
func TestGuardThatDoesNotReadIsKilled(t *testing.T) {
	g := &guard{identity: &identity{}, timeout: 10 * time.Millisecond, log: logr.Discard()}
	t.Cleanup(g.close)
	g.watch("program")
	require.NotNil(t, g.process)

	first, gone := g.process.Pid, g.gone
	require.NoError(t, syscall.Kill(first, syscall.SIGSTOP))

	// More than the pipe takes.
	for n := 0; g.process.Pid == first; n++ {
		require.Less(t, n, 100)
		g.name("program", 1<<30)
		g.watch(strings.Repeat("x", 1<<10))
	}

	<-gone
	g.forget("program")
	g.forget(strings.Repeat("x", 1<<10))
}
