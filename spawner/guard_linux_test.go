package spawner_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/spawner"
)

// TestProgramsDoNotOutliveTheirOwner has programs that only serve on their port,
// and so do not notice that their owner was killed, with what they have started.
func TestProgramsDoNotOutliveTheirOwner(t *testing.T) {
	t.Parallel()
	python := interpreters.Find(t, "python", "python3")
	dir := shortDir(t)
	leakgate.Check(t)
	root := t.TempDir()
	serve := python + " -m http.server --bind 127.0.0.1 $PORT"
	scripts := map[string]string{
		"direct": "exec " + serve,
		"child":  serve + " & echo $! >child; wait",
		"left":   "setsid sleep 1000 & echo $! >left; exec " + serve,
		"deaf":   "trap '' TERM; " + serve + " & echo $! >deaf; while :; do wait; done",
		"gone":   "(setsid sh -c 'trap \"\" TERM; echo $$ >gone; while :; do sleep 1000; done' &); exec " + serve,
	}

	apps := make([]spawner.App, 0, len(scripts))
	for _, script := range scripts {
		apps = append(apps, spawner.App{Root: root, StartCommand: []string{"/bin/sh", "-c", script}})
	}

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

	for _, name := range []string{"child", "left", "deaf", "gone"} {
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(filepath.Join(root, name))
			pid, e := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil || e != nil {
				return false
			}

			pids = append(pids, pid)

			return true
		}, patience, time.Millisecond)
	}

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	for _, pid := range pids {
		requireGone(t, pid)
	}
}
