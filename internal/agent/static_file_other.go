//go:build !linux

package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// openedFile is a regular file that is open for one request.
type openedFile struct {
	*os.File

	info fs.FileInfo
}

// hasOtherNames reports whether there may be hard links to the file.
func hasOtherNames(*openedFile) bool { return true }

// openDirect is for systems that can open a path without following links.
func openDirect(string) (*openedFile, error) { return nil, errors.ErrUnsupported }

// mayBeForeign is about what openDirect has opened.
func mayBeForeign(*openedFile) bool { return true }

// Stat returns what was known of the file when it was opened.
func (f *openedFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// position is how far the file has been read or sent.
func (f *openedFile) position() int64 {
	at, _ := f.Seek(0, io.SeekCurrent) // it fails for no regular file
	return at
}

// next is where the next read begins.
func (f *openedFile) next() int64 { return f.position() }
