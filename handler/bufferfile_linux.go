package handler

import (
	"os"

	"golang.org/x/sys/unix"
)

// unnamedFile fails where the file system cannot make such files.
func unnamedFile(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}

	return os.NewFile(uintptr(fd), dir+"/(unnamed)"), nil
}
