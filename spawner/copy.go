package spawner

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/filelock"
	"github.com/gopassenger/passenger/internal/randtext"
)

const (
	copyPrefix = "loaders."
	// markLength is that of what tells a factory from others in the same directory.
	markLength = 4
)

// loadersCopy is a directory for a factory's copy of the loaders, which is locked for
// as long as the factory has it. A copy that is not was left behind by a program
// that was killed, and so were the socket directories whose names begin with its
// mark.
type loadersCopy struct {
	path string
	lock *os.File
}

// newLoadersCopy makes an empty one in dir, which no other user can write to.
func newLoadersCopy(dir string) (*loadersCopy, error) {
	for {
		path := filepath.Join(dir, copyPrefix+randtext.Alphanumeric(markLength))
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}

		if err != nil {
			return nil, err
		}

		lock, err := openDirectory(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // see below
		}

		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}

		c := &loadersCopy{path, lock}

		// A file system without locks has none for others, too: then no copy is
		// known to be left behind.
		_ = filelock.Wait(lock, filelock.Exclusive)
		if c.isThere() {
			return c, nil
		}

		// Another process has taken it for one that was left behind.
		_ = lock.Close()
	}
}

// mark is what the names of the factory's socket directories begin with.
func (c *loadersCopy) mark() string { return strings.TrimPrefix(filepath.Base(c.path), copyPrefix) }

// isThere reports whether the directory is still the one of its name.
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

// removeLeft removes what factories that are gone have left in the directory.
func (d *privateDir) removeLeft() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}

	var errs []error
	for _, entry := range entries {
		if mark, ok := strings.CutPrefix(entry.Name(), copyPrefix); ok && len(mark) == markLength && entry.IsDir() {
			errs = append(errs, d.removeIfLeft(entry.Name()))
		}
	}

	return errors.Join(errs...)
}

func (d *privateDir) removeIfLeft(name string) error {
	path := filepath.Join(d.path, name)
	lock, err := openDirectory(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its owner has removed it
	}

	if err != nil {
		return err
	}

	c := &loadersCopy{path, lock}
	if locked, err := filelock.Try(lock, filelock.Exclusive); err != nil || !locked || !c.isThere() {
		return lock.Close()
	}

	// Last the copy: nothing else says whose the rest is.
	return errors.Join(d.removeSocketDirs(c.mark()), c.remove())
}

func (d *privateDir) removeSocketDirs(mark string) error {
	entries, err := fs.ReadDir(d.root.FS(), ".")

	errs := []error{err}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), mark) {
			errs = append(errs, (&socketDir{parent: d.root, name: entry.Name()}).remove())
		}
	}

	return errors.Join(errs...)
}

func openDirectory(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0) //nolint:gosec // G304: made here
}
