// Package ownfile opens files that a server writes for its operator, such as logs,
// where others must not make it write into something else, and reads those that others
// may have made, which must not keep it waiting.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/trustedpath"
)

// Open opens, or makes, a file that no other user has made, linked, can write to or
// replace. flag is as for os.OpenFile. What is no regular file, as /dev/null or a
// FIFO of a log service, is as good as its permissions.
func Open(path string, flag int, mode fs.FileMode) (*os.File, error) {
	dir, err := CheckDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}

	inside := filepath.Join(dir, filepath.Base(path))
	flag |= os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(inside, flag, mode) //nolint:gosec // G304: it is the operator's
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: name the file that it leads to", path)
	}

	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = check(path, info)
	}

	if err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}

func check(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int64(stat.Uid) != int64(os.Geteuid()):
		return fmt.Errorf("%s belongs to another user: remove it, or name another file", path)
	case stat.Nlink > 1:
		return fmt.Errorf("%s has other names as well: remove it, or name another file", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to %s, its mode is %04o: chmod go-w %s", path, info.Mode().Perm(), path)
	}

	return nil
}

// CheckDirectory returns the directory's path without links. For root, it fails if others
// could replace what is in the directory; another user's server has no more rights to lose
// than those who can.
func CheckDirectory(path string) (string, error) {
	var real string
	var err error
	if os.Geteuid() == 0 {
		real, err = trustedpath.CheckDirectory(path, 0)
	} else {
		real, err = filepath.EvalSymlinks(path)
	}

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: create the directory %s, or name a file in another one", err, path)
	case err != nil:
		return "", fmt.Errorf("%w: name a file that is elsewhere than in %s", err, path)
	}

	return real, nil
}
