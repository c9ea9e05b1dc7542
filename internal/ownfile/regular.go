package ownfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotRegular means that there is a FIFO, a device, a socket or a directory where a file
// should be.
var ErrNotRegular = errors.New("not a regular file")

// OpenRegular opens a file for reading that another user may have put there. It does not
// wait: with a FIFO, os.Open returns when something opens it for writing, and no signal
// ends that. Links are followed, as releases have them.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, //nolint:gosec // G304: the caller chooses it
		0)
	if errors.Is(err, unix.ENXIO) {
		return nil, notRegular(path) // a socket
	}

	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path)
	}

	if err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}

func notRegular(path string) error { return &os.PathError{Op: "open", Path: path, Err: ErrNotRegular} }

// ReadRegular reads a file of maxBytes at most, which OpenRegular opens.
func ReadRegular(path string, maxBytes int64) ([]byte, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}

	defer func() { _ = f.Close() }()

	content, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}

	if int64(len(content)) > maxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	}

	return content, nil
}
