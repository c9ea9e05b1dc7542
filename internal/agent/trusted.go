package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openOwn opens, or makes, a file of this program's that others may read. It is
// not one that somebody else has made, linked, or could replace.
func openOwn(path string, flags int, mode fs.FileMode) (*os.File, error) {
	if err := checkDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flags|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, mode) //nolint:gosec // G304: it is the operator's
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: name the file that it leads to", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkOwn(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkOwn(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		// What is none, as /dev/null or a FIFO of a log service, is as good as its
		// permissions.
		return nil
	case ok && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user: remove it, or name another file", path)
	case ok && stat.Nlink != 1:
		return fmt.Errorf("%s has other names as well: remove it, or name another file", path)
	}
	return nil
}

// checkDirectory makes sure, for root, that only root can replace what is in a
// directory.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() != 0 || !ok {
		return nil
	}
	if stat.Uid == 0 && (info.Mode().Perm()&0o022 == 0 || info.Mode()&fs.ModeSticky != 0) {
		return nil
	}
	return fmt.Errorf("in the directory %s others than root could replace the file: name one in another directory", dir)
}
