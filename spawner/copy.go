package spawner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const copyPrefix = "loaders."

// loadersCopy is a directory for a factory's copy of the loaders. It is locked for
// as long as the factory has it, and so known to be left behind when the program
// was killed.
type loadersCopy struct {
	path string
	lock *os.File
}

// newLoadersCopy makes an empty one in dir, which nobody else can write to.
func newLoadersCopy(dir string) (*loadersCopy, error) {
	for {
		path, err := os.MkdirTemp(dir, copyPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := openDirectory(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // see below
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
		c := &loadersCopy{path, lock}
		// A file system without locks has none for others, too: then no copy is
		// known to be left behind.
		_ = flock(lock, syscall.LOCK_EX)
		if c.isThere() {
			return c, nil
		}
		// Somebody has come between who took it for one that was left behind.
		_ = lock.Close()
	}
}

// isThere: the directory is still the one of its name.
func (c *loadersCopy) isThere() bool {
	ours, err := c.lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(c.path)
	return err == nil && os.SameFile(ours, there)
}

func (c *loadersCopy) remove() error {
	return errors.Join(os.RemoveAll(c.path), c.lock.Close())
}

// removeLeftCopies removes from dir the copies of factories that are gone.
func removeLeftCopies(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), copyPrefix) {
			errs = append(errs, removeIfLeft(filepath.Join(dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}

func removeIfLeft(path string) error {
	lock, err := openDirectory(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // its owner has removed it
	}
	if err != nil {
		return err
	}
	c := &loadersCopy{path, lock}
	if flock(lock, syscall.LOCK_EX|syscall.LOCK_NB) != nil || !c.isThere() {
		return lock.Close()
	}
	return c.remove()
}

func openDirectory(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0) //nolint:gosec // G304: made here
}

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = raw.Control(func(fd uintptr) {
		for {
			if lockErr = syscall.Flock(int(fd), how); !errors.Is(lockErr, syscall.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, lockErr)
}
