package ustrouter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/ratelog"
)

// File is a sink that appends a line of JSON for each transaction to a file. What
// the file system has no room for is dropped; when there is room again, a line
// of KindDropped says how much. No line is ever followed by something else than
// a whole one, unless another program writes to the file as well.
type File struct {
	path string
	log  logr.Logger

	written, dropped atomic.Uint64

	mu   sync.Mutex
	file *os.File // nil after Close
	out  *encoder
	// torn is the rest of a line of which only a part was written.
	torn []byte
	// told is how much of dropped the file says.
	told uint64
	// failing reports whether it was logged that writing fails.
	failing  bool
	failures ratelog.Line
}

var _ Sink = (*File)(nil)

// OpenFile opens the file, or makes it with the mode 0640. It must be a regular
// file of the own user without other names, which no other user can write to;
// neither may another user be able to replace it, if this program is root. A line
// that an earlier program has left unfinished is ended.
func OpenFile(path string, log logr.Logger) (*File, error) {
	file, err := openEnded(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write transactions to a file: %w", err)
	}

	return newFile(path, file, log), nil
}

func newFile(path string, file *os.File, log logr.Logger) *File {
	return &File{
		path: path,
		log:  log,
		file: file,
		out:  newEncoder(),
	}
}

// Write appends a line.
func (f *File) Write(t *Transaction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil || !f.ready() || !f.append(t) {
		f.dropped.Add(1)
	}
}

// ready finishes what is torn and tells what is missing, if there is room again.
func (f *File) ready() bool {
	if err := f.finish(); err != nil {
		f.failed(err)
		return false
	}

	// The gap is recorded in its place, before what comes after it.
	if missing := f.dropped.Load() - f.told; missing > 0 {
		if !f.append(&Transaction{Kind: KindDropped, Time: time.Now(), Dropped: missing}) {
			return false
		}

		f.told += missing
	}

	if f.failing && len(f.torn) == 0 {
		f.failing = false
		f.log.Info("transactions are written to their file again", "file", f.path, "droppedInAll", f.told)
	}

	return true
}

// finish writes the rest of a torn line.
func (f *File) finish() error {
	if len(f.torn) == 0 {
		return nil
	}

	n, err := f.file.Write(f.torn)
	f.torn = f.torn[n:]
	if err == nil {
		f.written.Add(1)
	}

	return err
}

// append reports whether the line is in the file, or will be.
func (f *File) append(t *Transaction) bool {
	if f.finish() != nil {
		return false
	}

	f.out.buf.Reset()
	if f.out.transaction(t) != nil {
		return false // it has a time that JSON cannot express
	}

	line := printable.JSON(f.out.buf.Bytes())
	n, err := f.file.Write(line)
	if err == nil {
		f.written.Add(1)
		return true
	}

	f.failed(err)
	// The file has a part of the line. The rest must come next, or it would be no JSON.
	if n > 0 {
		f.torn = append(f.torn[:0], line[n:]...)
	}

	return n > 0
}

func (f *File) failed(err error) {
	if f.failing {
		return
	}

	f.failures.Tell(func(int) {
		f.failing = true
		f.log.Error(err, "cannot write transactions to their file, and they are dropped until it works again: make "+
			"room there, or correct its rights", "file", f.path)
	})
}

// Reopen opens the file again by its name, after it was moved away. If it cannot,
// the old one stays in use.
func (f *File) Reopen() error {
	file, err := openEnded(f.path)
	if err != nil {
		return fmt.Errorf("cannot reopen the file of transactions: %w", err)
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return errors.Join(errClosed, file.Close())
	}

	err = f.end()
	f.file = file

	return err
}

var errClosed = errors.New("the sink of transactions is closed")

// end closes the file, and drops a line whose end it does not take.
func (f *File) end() error {
	if f.finish() != nil {
		f.torn = nil
		f.dropped.Add(1)
	}

	return f.file.Close()
}

// Close closes the file.
func (f *File) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return errClosed
	}

	err := f.end()
	f.file = nil

	return err
}

// openEnded opens a regular file whose last line is whole.
func openEnded(path string) (*os.File, error) {
	file, err := ownfile.Open(path, os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}

	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: name another one", path)
	}

	if err == nil {
		err = endLine(file)
	}

	if err != nil {
		return nil, errors.Join(err, file.Close())
	}

	return file, nil
}

// endLine makes sure that what is written next begins a line.
func endLine(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}

	// A program that was killed may have left a line without its end.
	last := []byte{0}
	if _, err := file.ReadAt(last, size-1); err != nil {
		return err
	}

	if last[0] == '\n' {
		return nil
	}

	_, err = file.Write([]byte{'\n'})

	return err
}
