//go:build !linux

package handler

import (
	"os"
	"syscall"
)

// openBeneath opens name below root for reading.
func openBeneath(root, name string) (*os.File, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()

	return dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
}
