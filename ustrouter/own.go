package ustrouter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openOwn opens, or makes, a file that nobody else has made, linked, can write
// to or replace.
func openOwn(path string) (*os.File, error) {
	dir, err := checkDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	path = filepath.Join(dir, filepath.Base(path))
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY
	file, err := os.OpenFile(path, flags, 0o640) //nolint:gosec // G302, G304: it is the operator's, whose group may read it
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: name the file that it leads to", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = checkOwn(path, info)
	}
	if err == nil {
		err = endLine(file)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func checkOwn(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file: name another one", path)
	case ok && int64(stat.Uid) != int64(os.Geteuid()):
		return fmt.Errorf("%s belongs to another user: remove it, or name another file", path)
	case ok && stat.Nlink > 1:
		return fmt.Errorf("%s has other names as well: remove it, or name another file", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to %s, its mode is %04o: chmod go-w %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// checkDirectory returns the directory's path without links. For root, it makes
// sure that only root can replace what is in it, or what leads to it.
func checkDirectory(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil || os.Geteuid() != 0 {
		return path, err
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return "", err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		closed := info.Mode().Perm()&0o022 == 0 || info.Mode()&fs.ModeSticky != 0
		if !info.IsDir() || !ok || stat.Uid != 0 || !closed {
			return "", fmt.Errorf("others than root could replace what is in the directory %s: use a file that is elsewhere than in %s", dir, path)
		}
		if dir == filepath.Dir(dir) {
			return path, nil
		}
	}
}
