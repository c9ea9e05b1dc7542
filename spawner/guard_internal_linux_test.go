package spawner

import (
	"bufio"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The shell that ends programs learns of each, of its process ID once it has one, and of its end.
func TestGuardIsToldOfEachProgram(t *testing.T) {
	shell, input, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, shell.Close()) })

	g := &guard{identity: &identity{}, input: input}
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
