package watchdog

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// orphan makes a process whose parent has ended, which then is a child of ours.
func orphan(t *testing.T, command string) (pid int) {
	t.Helper()
	require.NoError(t, adoptOrphans())
	out, err := exec.Command("sh", "-c", command+" >/dev/null 2>&1 & echo $!").Output()
	require.NoError(t, err)
	pid, err = strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)

	return pid
}

func TestReap(t *testing.T) {
	pid := orphan(t, "true")
	w := &Watchdog{}
	require.Eventually(t, func() bool {
		w.Reap()
		return errors.Is(unix.Kill(pid, 0), unix.ESRCH)
	}, 30*time.Second, time.Millisecond)
	require.NotContains(t, w.children.others(), pid)
}

// One that ends when it is asked to is not killed.
func TestOrphansAreAskedToEndFirst(t *testing.T) {
	pid := orphan(t, "sleep 1000")
	w := &Watchdog{cfg: Config{KillTimeout: time.Hour}}
	require.Contains(t, w.children.others(), pid)
	w.endOrphans(nil)
	require.ErrorIs(t, unix.Kill(pid, 0), unix.ESRCH)
}

func TestChildrenOfOurOwnAreNoOrphans(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	w := &Watchdog{}
	require.NoError(t, w.children.start(cmd))
	require.NotContains(t, w.children.others(), cmd.Process.Pid)
	w.endOrphans(nil)
	require.NoError(t, unix.Kill(cmd.Process.Pid, 0))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, w.children.wait(cmd))
}

func TestParentPID(t *testing.T) {
	require.Equal(t, unix.Getppid(), parentPID(unix.Getpid()))
	require.Zero(t, parentPID(0))
	require.Zero(t, parentPID(-1))
}
