package handler

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// collectInMemory is how much of a body without a length is kept in memory;
// what is more goes to a file that has no name.
const collectInMemory = 128 << 10

// readSmallBody reads a body that fits into the buffer before a process is
// taken up by it. Head and body then go out in one piece.
func (x *exchange) readSmallBody() error {
	if x.length <= 0 || x.length > int64(len(x.buf)) || x.r.Header.Get("Expect") != "" {
		return nil
	}
	x.small = x.buf[:x.length]
	if _, err := io.ReadFull(x.body, x.small); err != nil {
		return fmt.Errorf("%w: %w", readFault(err), err)
	}
	return nil
}

// collectBody reads the request's body to its end, which gives it a length.
// done releases what it is kept in.
func (x *exchange) collectBody() (done func(), err error) {
	var memory bytes.Buffer
	n, err := io.CopyN(&memory, x.body, collectInMemory)
	if errors.Is(err, io.EOF) {
		x.length, x.body = n, &memory
		if n == 0 {
			x.body = nil
		}
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", readFault(err), err)
	}
	file, err := os.CreateTemp("", "passenger-body-")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSpace, err)
	}
	done = func() { _ = file.Close() } // it was only read
	if err := os.Remove(file.Name()); err != nil {
		done()
		return nil, fmt.Errorf("%w: %w", errNoSpace, err)
	}
	disk := &storeErrors{w: file}
	rest, err := io.Copy(disk, x.body)
	switch {
	case disk.err != nil:
		done()
		return nil, fmt.Errorf("%w: %w", errNoSpace, disk.err)
	case err != nil:
		done()
		return nil, fmt.Errorf("%w: %w", readFault(err), err)
	}
	x.length = n + rest
	x.body = io.MultiReader(&memory, io.NewSectionReader(file, 0, rest))
	return done, nil
}

// storeErrors tells errors of the disk from those of the client.
type storeErrors struct {
	w   io.Writer
	err error
}

func (s *storeErrors) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}
