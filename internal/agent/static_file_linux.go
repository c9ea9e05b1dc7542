package agent

import (
	"io"
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openedFile is a regular file that is open for one request. An *os.File would be registered with the poller of the
// runtime, which refuses regular files: two system calls for nothing.
type openedFile struct {
	fd   int
	name string
	stat syscall.Stat_t
	// at is where the descriptor is, and from where the next read begins; unknown means both are where the kernel is.
	at, from int64
}

const unknown = -1

// hasOtherNames reports whether there are hard links to the file.
func hasOtherNames(f *openedFile) bool { return f.stat.Nlink > 1 }

// newOpenedFile takes over fd. The error is errNotAFile if it is no regular file.
func newOpenedFile(fd int, name string) (*openedFile, error) {
	f := &openedFile{fd: fd, name: name}

	err := ignoringEINTR(func() error { return syscall.Fstat(fd, &f.stat) })
	if err == nil && f.stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		err = errNotAFile
	}

	if err != nil {
		// Nothing was written.
		_ = f.Close()
		return nil, err
	}

	return f, nil
}

// openDirect opens a file to which no link leads, by one system call; the path is absolute and clean. It never waits
// for what is something else.
//
// Errors: errNotAFile, and those of the system: ELOOP for a link, ENOENT only if there is none.
func openDirect(path string) (*openedFile, error) {
	fd, err := -1, error(nil)
	how := &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	err = ignoringEINTR(func() error {
		fd, err = unix.Openat2(unix.AT_FDCWD, path, how)
		return err
	})
	if err != nil {
		return nil, err
	}

	return newOpenedFile(fd, path)
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // it is the system's own
			return err
		}
	}
}

// Read reads from where the last one ended, or from where Seek has said.
func (f *openedFile) Read(p []byte) (n int, err error) {
	if err := f.moveTo(); err != nil || len(p) == 0 {
		return 0, err
	}

	err = ignoringEINTR(func() error {
		n, err = unix.Read(f.fd, p)
		return err
	})

	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	case n == 0:
		return 0, io.EOF
	}

	// Where the kernel has moved the descriptor, only the kernel knows how far.
	if f.at != unknown {
		f.at += int64(n)
		f.from = f.at
	}

	return n, nil
}

// ReadAt reads from an offset, and leaves the descriptor where it is.
func (f *openedFile) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) && err == nil {
		read := 0
		err = ignoringEINTR(func() error {
			read, err = unix.Pread(f.fd, p[n:], offset+int64(n))
			return err
		})

		switch {
		case err != nil:
			err = &fs.PathError{Op: "read", Path: f.name, Err: err}
		case read == 0:
			err = io.EOF
		default:
			n += read
		}
	}

	return n, err
}

// Seek says where the next read begins. The end is where it was when the file was opened.
func (f *openedFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.next()
	case io.SeekEnd:
		offset += f.stat.Size
	}

	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: unix.EINVAL}
	}

	f.from = offset

	return offset, nil
}

// next is where the next read begins.
func (f *openedFile) next() int64 {
	if f.from == unknown {
		return f.position()
	}

	return f.from
}

// moveTo moves the descriptor to where the next read begins.
func (f *openedFile) moveTo() error {
	if f.at == f.from {
		return nil
	}

	if _, err := unix.Seek(f.fd, f.from, io.SeekStart); err != nil {
		return &fs.PathError{Op: "seek", Path: f.name, Err: err}
	}

	f.at = f.from

	return nil
}

// position is how far the file has been read or sent, also while another goroutine does so.
func (f *openedFile) position() int64 {
	// It fails for no regular file.
	at, _ := unix.Seek(f.fd, 0, io.SeekCurrent)
	return at
}

// Close closes the file.
func (f *openedFile) Close() error { return unix.Close(f.fd) }

// Stat returns what was known of the file when it was opened.
func (f *openedFile) Stat() (fs.FileInfo, error) { return fileInfo{f}, nil }

// SyscallConn is for package net, which lets the kernel send the file.
func (f *openedFile) SyscallConn() (syscall.RawConn, error) { return rawFile{f}, nil }

// rawFile is the descriptor of a file, which is always ready.
type rawFile struct{ *openedFile }

// Control calls do with the descriptor, which may move it.
func (r rawFile) Control(do func(fd uintptr)) error {
	if err := r.moveTo(); err != nil {
		return err
	}

	// What do does, as sendfile(2), moves the descriptor by as much as it likes.
	r.at, r.from = unknown, unknown
	do(uintptr(r.fd))

	return nil
}

// Read calls do until it is done.
func (r rawFile) Read(do func(fd uintptr) bool) error {
	return r.Control(func(fd uintptr) {
		for !do(fd) {
		}
	})
}

// Write fails: the file is only read.
func (rawFile) Write(func(fd uintptr) bool) error { return unix.EBADF }

// fileInfo is what is known of an open file.
type fileInfo struct{ f *openedFile }

func (i fileInfo) Name() string       { return i.f.name }
func (i fileInfo) Size() int64        { return i.f.stat.Size }
func (i fileInfo) Mode() fs.FileMode  { return fs.FileMode(i.f.stat.Mode & 0o777) }
func (i fileInfo) ModTime() time.Time { return time.Unix(i.f.stat.Mtim.Unix()) }
func (fileInfo) IsDir() bool          { return false }
func (i fileInfo) Sys() any           { return &i.f.stat }
