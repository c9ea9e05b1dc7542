package spawner_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// Processes and preloaders end when the program that has started them is killed.
// Faults: R-73.
func TestProcessesEndWithTheirKilledOwner(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	leakgate.Check(t, leakgate.Marker(testapp.Marker()))
	apps := []spawner.App{app(t, "http"), preloaded(t, modern), preloaded(t), app(t, "session")}
	text, err := json.Marshal(map[string]any{"Dir": dir, "Apps": apps})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), ownerVar+"="+string(text))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	var pids []int
	for lines := bufio.NewScanner(stdout); len(pids) < len(apps) && lines.Scan(); {
		var pid int
		_, err := fmt.Sscan(lines.Text(), &pid)
		require.NoError(t, err)
		pids = append(pids, pid)
	}

	require.Len(t, pids, len(apps))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	for _, pid := range pids {
		requireGone(t, pid)
	}
}
