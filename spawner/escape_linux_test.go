package spawner_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

// requireGone waits until a process has ended. Whoever is to reap it may take
// its time.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, patience, time.Millisecond)
}

func pidFrom(t *testing.T, p spawner.Process, path string) int {
	t.Helper()
	body, err := get(t, p, path)
	require.NoError(t, err)
	pid, err := strconv.Atoi(body)
	require.NoError(t, err)

	return pid
}

// Faults: A11.
func TestProcessThatDaemonisesWhileStartingIsKilled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	began := time.Now()
	e := f.fail(t, app(t, "orphan", "escape=yes"))
	require.Less(t, time.Since(began), limit)
	require.Equal(t, "exit status 3", e.ExitStatus)
	require.Equal(t, spawner.CategoryStartup, e.Category)
	m := regexp.MustCompile(`grandchild pid (\d+)`).FindStringSubmatch(e.Output)
	require.NotNil(t, m, e.Output)
	pid, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	requireGone(t, pid)
	require.Len(t, f.log.lines("into the background", m[1]), 1)
}

// Faults: B12.
func TestChildThatLeavesTheSessionIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, app(t, "http"))
	daemon := pidFrom(t, p, "/daemon")
	p.Stop(t.Context())
	requireGone(t, daemon)
	require.Len(t, f.log.lines("into the background", fmt.Sprint(daemon)), 1)

	p = f.start(t, app(t, "http"))
	daemon = pidFrom(t, p, "/daemon")
	_, err := get(t, p, "/exit?status=1")
	require.Error(t, err)
	requireExit(t, p)
	requireGone(t, daemon)
}
