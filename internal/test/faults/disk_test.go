//go:build linux

package faults_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/smalldisk"
)

// smallDisk is a file system with room for 256 KiB.
func smallDisk(t testing.TB) string {
	t.Helper()
	return smalldisk.Mount(t, "size=256k")
}

// requireNoRoom checks that uploads that do not fit into memory are refused, that
// others are served, and that the log says so once.
func requireNoRoom(t testing.TB, s *server, c *client, why string) {
	t.Helper()

	for range 5 {
		a := c.post(t, "/sum", newGenerator(2*megabyte))
		require.Equal(t, http.StatusInsufficientStorage, a.StatusCode, a.body)
		require.Equal(t, http.StatusOK, c.post(t, "/sum", bytes.NewReader(make([]byte, 100<<10))).StatusCode)
		require.Equal(t, megabyte, len(c.requireOK(t, "/large?1048576"))) //nolint:testifylint // Len prints it
	}

	require.NotEmpty(t, s.lines(why))
}

// Faults: F3.
func TestUploadsFailWhenBufferDirectoryIsRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "buffers")
	require.NoError(t, os.Mkdir(dir, 0o700))
	s := start(t, "--data-buffer-dir", dir)
	c := s.client(t)
	require.Equal(t, http.StatusOK, c.post(t, "/sum", newGenerator(megabyte)).StatusCode)
	require.NoError(t, os.Remove(dir))
	requireNoRoom(t, s, c, "no such file or directory")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Equal(t, http.StatusOK, c.post(t, "/sum", newGenerator(megabyte)).StatusCode)
}

// Faults: F3.
func TestUploadsFailWhenDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s := start(t, "--data-buffer-dir", dir)
	c := s.client(t)
	const fits = megabyte + 150<<10 // with what of it is kept in memory
	want := summary(fits, sumOf(fits), nil)
	require.Equal(t, want, c.post(t, "/sum", newGenerator(fits)).body)
	requireNoRoom(t, s, c, "no space left on device")
	require.Equal(t, want, c.post(t, "/sum", newGenerator(fits)).body)

	// Another program needs the room for a while.
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, make([]byte, 250<<10), 0o600))
	require.Equal(t, http.StatusInsufficientStorage, c.post(t, "/sum", newGenerator(fits)).StatusCode)
	require.NoError(t, os.Remove(other))
	require.Equal(t, want, c.post(t, "/sum", newGenerator(fits)).body)
	s.requireBufferFiles(t, dir, 0)
}
