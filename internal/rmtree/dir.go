// Package rmtree removes directories that other users write to, however deep and full
// they have made them, and while they go on. It needs two descriptors at a time, follows
// no link, and never leaves the directory that it was given.
package rmtree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Dir is an open directory, so that what its path leads to later does not matter.
// Methods that take a name do not follow it if it is a link.
type Dir struct{ *os.File }

// Open opens the directory at path. What leads to it may be links, it may not.
func Open(path string) (Dir, error) { return openDirAt(unix.AT_FDCWD, path, path) }

func openDirAt(at int, name, path string) (Dir, error) {
	fd, err := openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return Dir{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}

	return Dir{os.NewFile(uintptr(fd), path)}, nil
}

// openat follows no link, does not wait at a FIFO and takes no terminal.
func openat(at int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// FD returns the descriptor.
func (d Dir) FD() int { return int(d.Fd()) }

// Fault returns err as one of an operation on name, or nil if err is nil.
func (d Dir) Fault(op, name string, err error) error {
	if err == nil {
		return nil
	}

	return &fs.PathError{Op: op, Path: filepath.Join(d.Name(), name), Err: err}
}

// OpenDir opens the directory name.
func (d Dir) OpenDir(name string) (Dir, error) {
	return openDirAt(d.FD(), name, filepath.Join(d.Name(), name))
}

// OpenOwnDir opens a directory of ours that we may have no right to read, and takes the
// right: a umask can have taken it from a new one.
func (d Dir) OpenOwnDir(name string) (Dir, error) {
	sub, err := d.OpenDir(name)
	if !errors.Is(err, fs.ErrPermission) {
		return sub, err
	}

	if unix.Fchmodat(d.FD(), name, 0o700, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return sub, err
	}

	return d.OpenDir(name)
}

// OpenFile opens the file name without waiting for anything.
func (d Dir) OpenFile(name string, flags int, mode uint32) (*os.File, error) {
	fd, err := openat(d.FD(), name, flags, mode)
	if err != nil {
		return nil, d.Fault("open", name, err)
	}

	return os.NewFile(uintptr(fd), filepath.Join(d.Name(), name)), nil
}

// Lstat returns the status of name.
func (d Dir) Lstat(name string) (*unix.Stat_t, error) {
	var st unix.Stat_t
	return &st, d.Fault("stat", name, unix.Fstatat(d.FD(), name, &st, unix.AT_SYMLINK_NOFOLLOW))
}

// Unlink removes a file.
func (d Dir) Unlink(name string) error {
	return d.Fault("remove", name, unix.Unlinkat(d.FD(), name, 0))
}

// Rmdir removes an empty directory.
func (d Dir) Rmdir(name string) error {
	return d.Fault("remove", name, unix.Unlinkat(d.FD(), name, unix.AT_REMOVEDIR))
}

// Rename moves an entry to another directory.
func (d Dir) Rename(from string, to Dir, as string) error {
	return d.Fault("rename", from, unix.Renameat(d.FD(), from, to.FD(), as))
}

// batch is how many names are read at a time: others can make very many.
const batch = 512

// Each calls do with the names of the entries, until it fails. It may miss some when do
// removes others.
func (d Dir) Each(do func(name string) error) error {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return err
	}

	for {
		names, err := d.Readdirnames(batch)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
