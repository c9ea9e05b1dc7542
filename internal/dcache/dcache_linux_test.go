package dcache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is there is never said to be absent, also right after it was made, and what was removed is
// said to be absent where the file system can say so.
func TestNegativeFollowsTheFileSystem(t *testing.T) {
	t.Parallel()

	// The second one keeps no entries of what is absent.
	for _, dir := range []string{"/var/tmp", "/dev/shm"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp(dir, "") //nolint:usetesting // the file system matters
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
			path := filepath.Join(dir, "public")

			for range 20 {
				_, err := os.Stat(path)
				require.ErrorIs(t, err, os.ErrNotExist)
				absent, known := lookUp(path)
				require.Equal(t, known, absent)

				require.NoError(t, os.Mkdir(path, 0o700))
				absent, _ = lookUp(path)
				require.False(t, absent)
				require.NoError(t, os.Remove(path))
			}
		})
	}
}

// A file system that cannot say it is not asked for a while.
func TestNegativePausesWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	var n Negative

	// The kernel refuses a relative path that no directory is given for.
	require.False(t, n.Has("nothing"))
	require.EqualValues(t, pause, n.left.Load())

	for left := pause; left > 0; left-- {
		require.EqualValues(t, left, n.left.Load())
		require.False(t, n.Has("/"))
	}

	require.False(t, n.Has("/"))
	require.Zero(t, n.left.Load())
}

// What would be another path for the kernel is left to those who look at it as a whole.
func TestNegativeKnowsNothingOfPathsThatWouldBeCut(t *testing.T) {
	t.Parallel()

	for _, path := range []string{"/nothing\x00", "/\x00", "/" + strings.Repeat("x", 300)} {
		absent, known := lookUp(path)
		require.False(t, absent)
		require.True(t, known)
	}
}

func TestNegativeKeepsNoDescriptors(t *testing.T) {
	var n Negative
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)

		return len(list)
	}
	before := open()

	for range 100 {
		require.False(t, n.Has("/"))
	}

	require.Equal(t, before, open())
	require.Zero(t, testing.AllocsPerRun(100, func() { n.Has("/proc/nothing") }))
}
