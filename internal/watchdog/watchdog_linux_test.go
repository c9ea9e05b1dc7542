package watchdog_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/watchdog"
)

// What an agent starts inherits neither the socket to the watchdog nor what it
// lends.
func TestNothingIsInherited(t *testing.T) {
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	require.NoError(t, err)
	defer l.Close()
	f, err := l.File()
	require.NoError(t, err)
	defer f.Close()
	a := agentOf(part{Dir: dir, Name: "core", Child: true})
	a.Files = map[string]*os.File{"http": f}
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}})

	child := number(t, content(t, dir, "core.child"))
	for pid, want := range map[int][]string{w.PID("core"): {"socket", "socket"}, child: nil} {
		fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
		entries, err := os.ReadDir(fds)
		require.NoError(t, err)

		var sockets []string
		for _, e := range entries {
			to, _ := os.Readlink(filepath.Join(fds, e.Name()))
			if kind, _, _ := strings.Cut(to, ":"); kind == "socket" && number(t, e.Name()) > 2 {
				sockets = append(sockets, kind)
			}
		}

		if want == nil {
			require.Empty(t, sockets)
		} else {
			require.GreaterOrEqual(t, len(sockets), len(want))
		}

		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		require.NoError(t, err)
		if pid == child {
			require.NotContains(t, string(env), "PASSENGER_USE_FEEDBACK_FD")
		}
	}
}

// Agents do not inherit what makes the kernel spare the watchdog. Where
// the score may not be lowered, as in most containers, all keep what they have.
// Faults: R-16.
func TestAgentsDoNotInheritTheOOMScore(t *testing.T) {
	const file = "/proc/self/oom_score_adj"
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	own := strings.TrimSpace(string(before))
	want := own
	if os.WriteFile(file, []byte("-1000"), 0) == nil {
		want = "-1000"
		t.Cleanup(func() { _ = os.WriteFile(file, before, 0) })
		require.NoError(t, os.WriteFile(file, before, 0))
	}

	var about struct{ OOM string }
	a := agentOf(part{Dir: t.TempDir(), Name: "core"})
	a.Ready = func(_ int, b json.RawMessage) { _ = json.Unmarshal(b, &about) }
	start(t, watchdog.Config{Agents: []watchdog.Agent{a}, ProtectFromOOM: true})
	require.Equal(t, own, about.OOM)
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, strings.TrimSpace(string(now)))
}
