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
func TestLookFollowsTheFileSystem(t *testing.T) {
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
				kind, known := look(path)
				require.Equal(t, known, kind == Absent)

				require.NoError(t, os.Mkdir(path, 0o700))
				requireKnown(t, Other, path)
				require.NoError(t, os.Remove(path))

				require.NoError(t, os.WriteFile(path, nil, 0o600))
				requireKnown(t, Regular, path)
				require.NoError(t, os.Remove(path))
			}
		})
	}
}

// requireKnown allows for a kernel that does not know, but for nothing else.
func requireKnown(t *testing.T, want Kind, path string) {
	t.Helper()

	if kind, known := look(path); known {
		require.Equal(t, want, kind, path)
	} else {
		require.Equal(t, Unknown, kind, path)
	}
}

// Whoever asks knows nothing of links, which may lead to what must not be looked at.
func TestLookFollowsNoLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dir", "file"), nil, 0o600))

	for link, target := range map[string]string{"way": "dir", "end": "dir/file", "broken": "nothing"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}

	requireKnown(t, Regular, filepath.Join(dir, "dir", "file"))
	requireKnown(t, Absent, filepath.Join(dir, "dir", "file", "nothing"))

	for _, name := range []string{"way/file", "way/nothing", "end", "broken", "broken/nothing"} {
		kind, _ := look(filepath.Join(dir, name))
		require.Equal(t, Unknown, kind, name)
	}
}

// A file system that cannot say it is not asked for a while.
func TestLookPausesWhereNothingIsKnown(t *testing.T) {
	t.Parallel()
	var c Cache

	// The kernel refuses a relative path that no directory is given for.
	require.Equal(t, Unknown, c.Look("nothing"))
	require.EqualValues(t, pause, c.left.Load())

	for left := pause; left > 0; left-- {
		require.EqualValues(t, left, c.left.Load())
		require.Equal(t, Unknown, c.Look("/"))
	}

	require.Equal(t, Other, c.Look("/"))
	require.Zero(t, c.left.Load())
}

// What would be another path for the kernel is left to those who look at it as a whole.
func TestLookKnowsNothingOfPathsThatWouldBeCut(t *testing.T) {
	t.Parallel()

	for _, path := range []string{"/nothing\x00", "/\x00", "/" + strings.Repeat("x", maxPath-1)} {
		kind, known := look(path)
		require.Equal(t, Unknown, kind)
		require.True(t, known)
	}
}

func TestLookKeepsNoDescriptors(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)

		return len(list)
	}
	before := open()

	for range 100 {
		_, known := look("/")
		require.True(t, known)
	}

	require.Equal(t, before, open())
	require.Zero(t, testing.AllocsPerRun(100, func() { look("/") }))
}
