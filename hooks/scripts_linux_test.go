package hooks_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Faults: R-59.
func TestHookInheritsNoDescriptors(t *testing.T) {
	b := newBench(t)

	ours := b.file("ours", "", 0o600)
	for range 500 {
		fd, err := unix.Open(ours, unix.O_RDONLY, 0) // to be inherited
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	}

	require.NoError(t, b.run(b.script("hook", `for fd in /proc/$$/fd/*; do readlink $fd; done > $DIR/fds; exit 0`)))
	fds := b.lines("fds")
	require.NotContains(t, fds, ours)
	require.Contains(t, fds, "/dev/null")
}

// Faults: R-71.
func TestHookFailsCleanlyWithoutDescriptors(t *testing.T) {
	b := newBench(t)
	path := b.script("hook", `exit 0`)
	s := b.spawnFailed(path)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	zero, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)

	failures := 0
	for spare := range 12 {
		limit := old
		limit.Cur = uint64(len(entries) + spare)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		err := s.Run(t.Context(), spawnFailedEvent)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
		if err != nil {
			failures++
			require.True(t, strings.HasPrefix(err.Error(), "cannot execute the spawn_failed hook script "+path) ||
				strings.Contains(err.Error(), "exited with"), err)
		}
	}

	require.Positive(t, failures)
	now, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	require.Equal(t, zero, now)
}
