package ustrouter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/logged"
)

// mount makes a small file system in memory.
func mount(t *testing.T, size string) string {
	t.Helper()
	interpreters.Root(t, "for a small file system")
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=755,size="+size); err != nil {
		interpreters.Missing(t, "root", "cannot mount a small file system: "+err.Error())
	}

	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })

	return dir
}

// TestFullDisk: what there is no room for is counted, in the file too when there
// is room again, and all lines are whole.
func TestFullDisk(t *testing.T) {
	dir := mount(t, "64k")
	filler, path := filepath.Join(dir, "filler"), filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(filler, make([]byte, 40<<10), 0o600))

	var log logged.Buffer
	f := openFile(t, path, log.Logger())

	const events = 200
	for i := range events {
		f.Write(someTransaction(fmt.Sprintf("/%0500d", i)))
	}

	stats := f.Stats()
	require.Positive(t, stats.Written)
	require.Greater(t, stats.Dropped, uint64(events/2))
	require.Equal(t, 1, strings.Count(log.String(), "cannot write transactions"))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, byte('\n'), content[len(content)-1], "the test needs a line that is torn")

	require.NoError(t, os.Remove(filler))
	f.Write(someTransaction("/again"))
	require.Equal(t, 1, strings.Count(log.String(), "written to their file again"))
	require.NoError(t, f.Close(t.Context()))
	all := read(t, path)
	lost, others := missing(all)
	require.Equal(t, stats.Dropped, lost)
	require.Equal(t, uint64(events+1), lost+others)

	for i, one := range all[:len(all)-2] {
		require.Equal(t, fmt.Sprintf("/%0500d", i), one.Path)
	}

	require.Equal(t, "/again", all[len(all)-1].Path)
}

// TestFullDiskAtTheEnd: a line that stays torn counts as lost, and ends where
// the next program begins.
func TestFullDiskAtTheEnd(t *testing.T) {
	dir := mount(t, "8k")
	path := filepath.Join(dir, "f")
	f := openFile(t, path, logr.Discard())

	long := strings.Repeat("x", 3000)
	for range 4 {
		f.Write(someTransaction(long))
	}

	require.NoError(t, f.Close(t.Context()))
	stats := f.Stats()
	require.Equal(t, uint64(4), stats.Written+stats.Dropped)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, int(stats.Written), strings.Count(string(content), "\n"))
}
