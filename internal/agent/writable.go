package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
)

// withOption adds to the error of a file or directory that cannot be written to what there is to do, with the option
// that names another place. In a container with a read-only root file system, that is all.
func withOption(err error, option string) error {
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name a place that the server's user can write to with %s", err, option)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: free some space or inodes there, or name another place with %s", err, option)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: raise the quota of the server's user, or name another place with %s", err, option)
	case errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: raise the limit on the size of files (ulimit -f, or LimitFSIZE= of a service)", err)
	}

	return err
}

// warnOfBuffers says now, and not at the first large upload, that there is no place
// for what does not fit into memory.
func (c *Config) warnOfBuffers(log logr.Logger) {
	seen := map[string]bool{}
	c.each(func(app *Config) {
		dir := cmp.Or(app.DataBufferDir, os.TempDir())
		if seen[dir] {
			return
		}

		seen[dir] = true
		if err := checkWritable(dir); err != nil {
			// A directory that is missing is mostly that of TMPDIR, which says nothing of the option.
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: make the directory, or name another one with --data-buffer-dir", err)
			}

			log.Error(withOption(err, "--data-buffer-dir"), "large requests and responses cannot be buffered, and fail")
		}
	})
}

// checkWritable reports whether files can be made in a directory.
func checkWritable(dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write to", Path: dir, Err: err}
	}

	return nil
}
