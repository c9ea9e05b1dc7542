package tools_test

import (
	"os"
	"path/filepath"
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
	for _, args := range [][]string{
		{"--name", s.name},
		{s.dir},
		{s.dir[:len(s.dir)-1]},
		{s.dir, "--instance", s.instance(t).Name},
	} {
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

// The original's tool has our server open its logs again, and tells of one without.
func TestOriginalToolReopensLogs(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	log, access := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "access")
	s := box.start(t, "--access-log", access)
	r := finish(t, s.original(t.Context(), t, "passenger-config", "reopen-logs"))
	require.Zero(t, r.status, r.stderr)
	require.Empty(t, r.stderr)

	require.NoError(t, os.Rename(access, access+".1"))
	r = finish(t, s.original(t.Context(), t, "passenger-config", "reopen-logs"))
	require.Zero(t, r.status, r.stderr)
	require.Regexp(t, `^Reopening logs for .+ watchdog\n`+
		`Reopening logs for .+ core \(through reinheritance\)\nAll done\n$`, r.stdout)
	eventually(t, func() error {
		s.get(t)
		_, err := os.Stat(access)
		return err
	})

	other := newBox(t)
	logged := other.start(t, "--log-file", log)
	require.NoError(t, os.Rename(log, log+".1"))
	r = finish(t, logged.original(t.Context(), t, "passenger-config", "reopen-logs"))
	require.Zero(t, r.status, r.stderr)
	require.FileExists(t, log)

	silent := newBox(t).start(t)
	r = finish(t, silent.original(t.Context(), t, "passenger-config", "reopen-logs"))
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stderr, "there is no log file to open again")
	r = finish(t, silent.original(t.Context(), t, "passenger-config", "reopen-logs", "--ignore-logs-not-available"))
	require.Zero(t, r.status, r.stderr)
}
