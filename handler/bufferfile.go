package handler

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// newBufferFile returns a file without a name, so that nothing is left of it when it is closed, whatever happens.
func newBufferFile(dir string) (*os.File, error) {
	dir = cmp.Or(dir, os.TempDir())

	if f, err := unnamedFile(dir); err == nil {
		return f, nil
	}

	f, err := os.CreateTemp(dir, "buffer.")
	if err != nil {
		return nil, err
	}

	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}

	return f, nil
}

// storeError is an error of the disk, not of client or application.
type storeError struct{ err error }

func (e *storeError) Error() string {
	return fmt.Sprintf("the directory for buffers cannot be used: %v: %s", e.err, e.advice())
}

func (e *storeError) advice() string {
	switch {
	case errors.Is(e.err, syscall.EMFILE), errors.Is(e.err, syscall.ENFILE):
		return "raise the limit on open files (ulimit -n, or LimitNOFILE= of a service)"
	case errors.Is(e.err, syscall.EFBIG):
		return "raise the limit on the size of files (ulimit -f, or LimitFSIZE= of a service)"
	case errors.Is(e.err, syscall.ENOSPC):
		return "free some space or inodes, or set another one (data_buffer_dir)"
	case errors.Is(e.err, syscall.EDQUOT):
		return "raise the quota of the server's user, or set another one (data_buffer_dir)"
	case errors.Is(e.err, fs.ErrNotExist):
		return "make it, or set another one (data_buffer_dir)"
	case errors.Is(e.err, fs.ErrPermission), errors.Is(e.err, syscall.EROFS):
		return "set one that the server's user can write to (data_buffer_dir)"
	}

	return "set another one (data_buffer_dir)"
}

func (e *storeError) Unwrap() error { return e.err }

// logBufferError logs that a body cannot be buffered, once for many.
func (h *Handler) logBufferError(err error) {
	h.disk.Tell(func(more int) {
		h.cfg.Logger.Error(err, "a request or a response cannot be buffered", "app", h.appName(), "directory",
			cmp.Or(h.cfg.DataBufferDir, os.TempDir()), "more", more)
	})
}
