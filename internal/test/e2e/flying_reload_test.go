package e2e_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFlyingReloadBootsWhatRuns: the configuration does not name the applications, but
// the core that is replaced does. One that cannot start keeps everything as it is.
func TestFlyingReloadBootsWhatRuns(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	tenants := []*tenant{box.goTenant(t, "a", daemonUID), box.goTenant(t, "b", binUID)}

	before := map[string]int{}
	for _, a := range tenants {
		before[a.root] = f.byHTTP(t, a, "/").PID
	}

	core := f.core(t)
	booted := func() map[string]int {
		var pool struct {
			Groups []struct {
				AppRoot   string
				Processes []struct{ PID, Processed int }
			}
		}
		f.state(t, &pool)

		pids := map[string]int{}
		for _, g := range pool.Groups {
			for _, p := range g.Processes {
				if p.Processed == 0 {
					pids[g.AppRoot] = p.PID
				}
			}
		}

		return pids
	}

	broken := tenants[1].root
	require.NoError(t, os.Rename(broken, broken+".gone"))
	out, err := f.reload(t)
	require.Error(t, err)
	require.Contains(t, out, broken)
	require.Equal(t, core, f.core(t))
	require.Equal(t, before[tenants[0].root], f.byHTTP(t, tenants[0], "/").PID)

	require.NoError(t, os.Rename(broken+".gone", broken))
	out, err = f.reload(t)
	require.NoError(t, err, out)

	pids := booted()
	for _, a := range tenants {
		require.NotZero(t, pids[a.root], "it was booted before its first request")
		require.NotEqual(t, before[a.root], pids[a.root])
		require.Equal(t, pids[a.root], f.byHTTP(t, a, "/").PID)
	}

	f.stop(t)
}
