package handler

import (
	"cmp"
	"fmt"
	"os"
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
	return fmt.Sprintf("the directory for buffers cannot be used: %v: free some space, or set another one "+
		"(data_buffer_dir)", e.err)
}

func (e *storeError) Unwrap() error { return e.err }

// logBufferError logs that a body cannot be buffered, once for many.
func (h *Handler) logBufferError(err error) {
	h.disk.Tell(func(more int) {
		h.cfg.Logger.Error(err, "a request or a response cannot be buffered", "app", h.appName(), "directory",
			cmp.Or(h.cfg.DataBufferDir, os.TempDir()), "more", more)
	})
}
