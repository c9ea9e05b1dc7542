package instancedir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// mount makes a file system in memory.
func mount(t *testing.T, options string) string {
	t.Helper()
	requireRoot(t)
	dir := newRegistry(t)
	mountAt(t, dir, options)

	return dir
}

// mountAt ends with the test, if not before by what it returns.
func mountAt(t *testing.T, dir, options string) (unmount func()) {
	t.Helper()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=755,"+options); err != nil {
		interpreters.Missing(t, "root", "cannot mount a small file system: "+err.Error())
	}

	unmount = sync.OnceFunc(func() {
		// Fails while there is an open file.
		require.NoError(t, syscall.Unmount(dir, 0))
	})
	t.Cleanup(unmount)

	return unmount
}

// Wherever the room ends, nothing is left.
// Faults: E7.
func TestCreateOnFullDiskLeavesNothing(t *testing.T) {
	for inodes := 2; ; inodes++ {
		dir := mount(t, fmt.Sprintf("nr_inodes=%d", inodes))
		d, err := instancedir.Create(config(dir))
		if err == nil {
			require.NoError(t, d.Remove())
			require.Greater(t, inodes, 8, "each entry needs one")
			return
		}

		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, dir)
		require.Empty(t, entries(t, dir))
	}
}

// Faults: E7.
func TestCreateOnDiskFullOfDataFails(t *testing.T) {
	dir := mount(t, "size=16k")

	content := make([]byte, 16<<10)
	for len(content) > 0 && os.WriteFile(filepath.Join(dir, "filler"), content, 0o600) != nil {
		content = content[:len(content)-4<<10]
	}

	_, err := instancedir.Create(config(dir))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, []string{"filler"}, entries(t, dir))
}

// Faults: E7.
func TestCreateOnReadOnlyDiskFails(t *testing.T) {
	dir := mount(t, "size=1m")
	require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err := instancedir.Create(config(dir))
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, dir)
	require.Empty(t, entries(t, dir))
}

// A mounted file system is not the server's to empty.
// Faults: R-01.
func TestRemoveStopsAtMounts(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	d := run(t, registry)
	mountAt(t, filepath.Join(d.Path(), "apps.s"), "size=1m")
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "apps.s", "file"), nil, 0o600))
	require.ErrorContains(t, d.Remove(), "is another file system")
	require.FileExists(t, filepath.Join(d.Path(), "apps.s", "file"))
}

// TestFailedRemoveIsTriedAgain also shows that what is left is still locked.
func TestFailedRemoveIsTriedAgain(t *testing.T) {
	requireRoot(t)
	registry := newRegistry(t)
	d := run(t, registry)
	unmount := mountAt(t, filepath.Join(d.Path(), "apps.s"), "size=1m")
	require.Error(t, d.Remove())
	require.Empty(t, clean(registry), "it is locked")
	unmount()
	require.NoError(t, d.Remove())
	require.Empty(t, entries(t, registry))
}
