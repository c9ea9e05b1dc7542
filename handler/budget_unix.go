//go:build unix

package handler

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes of a directory's file system this user may fill.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}

	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:gosec,unconvert // G115: the types differ between systems
}
