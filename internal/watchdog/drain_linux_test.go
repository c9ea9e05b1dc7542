package watchdog_test

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/watchdog"
)

// TestAgentThatDiesEndsNothingOfOneThatDrains: the processes of a preloader that was
// retired are the watchdog's orphans, and serve requests as long as their core drains.
func TestAgentThatDiesEndsNothingOfOneThatDrains(t *testing.T) {
	dir := t.TempDir()
	ready := make(chan int, 4)
	a := agentOf(part{
		Dir:    dir,
		Name:   "old",
		Orphan: true,
		Slow:   true,
	})
	a.Name = "core"
	a.Ready = func(pid int, _ json.RawMessage) { ready <- pid }
	w := start(t, watchdog.Config{
		Agents: []watchdog.Agent{a}, ShutdownTimeout: time.Hour, KillTimeout: 50 * time.Millisecond,
	})
	old := await(t, ready)
	orphan := number(t, content(t, dir, "old.orphan"))

	require.NoError(t, w.Replace(t.Context(), "core", watchdog.Replacement{Config: part{
		Dir:   dir,
		Name:  "next",
		Child: true,
	}}))
	next := await(t, ready)
	left := number(t, content(t, dir, "next.child"))
	require.NoError(t, syscall.Kill(next, syscall.SIGKILL))
	requireGone(t, next)
	await(t, ready)
	require.NoError(t, syscall.Kill(orphan, 0), "it may serve a request")

	require.NoError(t, syscall.Kill(old, syscall.SIGKILL))
	requireGone(t, orphan)
	requireGone(t, left)
}
