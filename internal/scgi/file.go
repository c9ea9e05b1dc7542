package scgi

import (
	"io"
	"math"
	"os"
	"syscall"
)

// openFile is an *os.File, also one that package os has wrapped to hide a method.
type openFile interface {
	io.Reader
	syscall.Conn
	Stat() (os.FileInfo, error)
}

// fileReader is a file that is read, perhaps only a part of it.
type fileReader struct {
	openFile
	limit *io.LimitedReader
}

// fileOf returns the regular file that src is, and how much of it is to be read.
func fileOf(src io.Reader) (f *fileReader, n int64) {
	n = math.MaxInt64
	f = &fileReader{}
	if l, ok := src.(*io.LimitedReader); ok {
		f.limit, n, src = l, l.N, l.R
	}

	file, ok := src.(openFile)
	if !ok {
		return nil, 0
	}

	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, 0
	}

	f.openFile = file

	return f, n
}

// advance counts what was read from the file without the limit.
func (f *fileReader) advance(n int64) {
	if f.limit != nil {
		f.limit.N -= n
	}
}
