package e2e_test

import (
	"errors"
	"net/http"
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

// One tenant whose application does not start any more does not keep the operator from a reload: who forces it has the
// others served by the new core, and that one when it is repaired.
func TestFlyingForcedReloadLeavesOutWhatDoesNotStart(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	good, bad := box.goTenant(t, "a", daemonUID), box.goTenant(t, "b", binUID)
	before := f.byHTTP(t, good, "/").PID
	f.byHTTP(t, bad, "/")
	core := f.core(t)

	require.NoError(t, os.Rename(bad.root, bad.root+".gone"))
	_, err := f.reload(t)
	require.Error(t, err)
	require.Equal(t, core, f.core(t))

	out, err := f.reload(t, "--force")
	require.NoError(t, err, out)
	require.NotEqual(t, core, f.servingCore(t))
	require.NotEqual(t, before, f.byHTTP(t, good, "/").PID)
	f.Stderr.Await(t, "cannot start a process: ", 2, f.Ended)

	require.NoError(t, os.Rename(bad.root+".gone", bad.root))
	eventually(t, func() error {
		if a := f.client(t).get(t, "/", f.header(t, bad)...); a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}

		return nil
	})
	f.stop(t)
}
