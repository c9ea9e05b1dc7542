package handler

import (
	"io"
	"os"
)

// storedBody is a request's body that has been read to its end: its beginning in memory, the rest in a file.
type storedBody struct {
	memory *memory
	inMem  int
	file   *os.File
	inFile int64
}

// space returns memory for more of a body of that length, which is negative if it is not known; nil means that the rest
// goes to the file.
func (b *storedBody) space(length int64) []byte {
	switch {
	case b.memory == nil:
		b.memory = newMemory(0)
	case b.file != nil:
		return nil
	case b.inMem == len(b.memory.b):
		most := maxLargeMemory
		// What needs a file anyway needs no more memory than before.
		if length > maxLargeMemory {
			most = maxMemory
		}

		larger := b.memory.grow(most)
		if larger == nil {
			return nil
		}

		b.memory = larger
	}

	return b.memory.b[b.inMem:]
}

// spill writes p to the file.
func (b *storedBody) spill(dir string, p []byte) (err error) {
	if len(p) == 0 {
		return nil
	}

	if b.file == nil {
		if b.file, err = newBufferFile(dir); err != nil {
			return &storeError{err}
		}
	}

	n, err := b.file.WriteAt(p, b.inFile)
	b.inFile += int64(n)
	if err != nil {
		return &storeError{err}
	}

	return nil
}

func (b *storedBody) length() int64 { return int64(b.inMem) + b.inFile }

// WriteTo writes the whole body, any number of times. The kernel copies the file to a socket by itself.
func (b *storedBody) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.memory.b[:b.inMem])
	if err != nil || b.inFile == 0 {
		return int64(n), err
	}

	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return int64(n), err
	}

	copied, err := io.Copy(w, b.file)

	return int64(n) + copied, err
}

// close frees what the body has.
func (b *storedBody) close() {
	if b.file != nil {
		// An error does not matter: the file was only read.
		_ = b.file.Close()
	}

	b.memory.free()
	*b = storedBody{}
}
