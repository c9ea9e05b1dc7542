package toolse2e_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The original's tool restarts our applications: by name, by a path that they begin
// with, and not one after the other, which it leaves to its Enterprise edition.
func TestOriginalToolRestarts(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	restart := func(args ...string) result {
		t.Helper()
		return finish(t, s.original(t.Context(), t, "passenger-config", append([]string{"restart-app"}, args...)...))
	}
	for _, args := range [][]string{{"--name", s.name}, {s.dir}, {s.dir[:len(s.dir)-1]}, {s.dir, "--instance", s.instance(t).Name}} {
		before := s.pids(t, 1)
		r := restart(args...)
		require.Zero(t, r.status, r.stderr)
		require.Equal(t, "Restarting "+s.name+"\n", r.stdout)
		require.Empty(t, r.stderr)
		eventually(t, func() error {
			for pid := range s.pids(t, 1) {
				if before[pid] {
					return os.ErrExist
				}
			}
			return nil
		})
	}
	before := s.pids(t, 1)
	for _, test := range []struct {
		args   []string
		says   string
		status int
	}{
		{[]string{s.dir, "--rolling-restart"}, "--rolling-restart is only available in ", 1},
		{[]string{"--name", s.dir}, "running with the app group name '" + s.dir + "'", 1},
		{[]string{"/none"}, "running whose paths begin with '/none'", 1},
		{[]string{"/none", "--ignore-app-not-running"}, "running whose paths begin with '/none'", 0},
	} {
		r := restart(test.args...)
		require.Equal(t, test.status, r.status, test.args)
		require.Contains(t, r.stdout+r.stderr, test.says)
		require.NotContains(t, r.stdout, "Restarting")
	}
	require.Equal(t, before, s.pids(t, 1))
}

// The original's tool and ours show the same of our pool as JSON.
func TestOriginalToolShowsJSON(t *testing.T) {
	t.Parallel()
	s := newBox(t).start(t)
	theirs := finish(t, s.original(t.Context(), t, "passenger-status", "--show=json"))
	require.Zero(t, theirs.status, theirs.stderr)
	require.Contains(t, theirs.stdout, `"app_root"`)
	ours := s.run(t, "passenger-status", "--show=json")
	require.Zero(t, ours.status, ours.stderr)
	require.JSONEq(t, theirs.stdout, ours.stdout)
}
