package instancedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/filelock"
)

// Stale is a directory that an instance has left behind.
type Stale struct {
	Path   string
	Reason string
	// UID is the user that it belongs to.
	UID int

	id fileID
}

// errNotStale means that it is not what it was when it was listed.
var errNotStale = errors.New("it is in use, or was replaced")

// Clean removes what is stale, for others than root only what is theirs, and tells
// report of each, and why it could not be removed; report must not be a stream
// that programs read. What has come to life since it was listed is left alone.
func (l *Listing) Clean(report io.Writer) {
	for i := range l.Stale {
		s := &l.Stale[i]
		if euid := os.Geteuid(); euid != 0 && euid != s.UID {
			continue
		}

		_, _ = fmt.Fprintf(report, "*** Cleaning stale instance directory %s\n", s.Path)
		if err := s.remove(); err != nil {
			_, _ = fmt.Fprintf(report, "    Warning: %v\n", err)
		}
	}
}

func (s *Stale) remove() (err error) {
	registry, err := openDirectory(filepath.Dir(s.Path))
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, registry.Close()) }()
	name := filepath.Base(s.Path)
	dir, err := registry.openDirectory(name)
	if err != nil {
		return ignoreGone(err)
	}

	defer func() { err = errors.Join(err, dir.Close()) }()
	now, err := examine(dir)
	if err != nil {
		return err
	}

	if now.stale == "" || idOf(&now.st) != s.id {
		return fmt.Errorf("%s: %w", s.Path, errNotStale)
	}

	// rmdir(2) fails if something has come into it since.
	if now.empty {
		return ignoreGone(registry.Rmdir(name))
	}

	lock, err := openLock(dir)
	if err != nil {
		return ignoreGone(err)
	}

	defer func() { err = errors.Join(err, lock.Close()) }()

	return s.removeLocked(registry, dir, name, lock)
}

// removeLocked holds the lock of the directory until it is gone.
func (s *Stale) removeLocked(registry, dir directory, name string, lock *os.File) error {
	locked, err := filelock.Try(lock, filelock.Exclusive)
	if err != nil {
		return err
	}

	var held unix.Stat_t
	if err := unix.Fstat(int(lock.Fd()), &held); err != nil {
		return err
	}

	there, err := dir.Lstat(lockName)
	if err != nil {
		return ignoreGone(err)
	}

	// The lock of a file whose name another one has by now protects nothing.
	if !locked || idOf(there) != idOf(&held) {
		return fmt.Errorf("%s: %w", s.Path, errNotStale)
	}

	return removeInstance(registry, dir, name, s.id)
}
