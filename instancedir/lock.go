package instancedir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/filelock"
	"github.com/gopassenger/passenger/internal/randtext"
)

// createLock makes the lock file, which no process ever sees unlocked.
func createLock(d directory) (_ *os.File, err error) {
	temporary := "." + lockName + "." + randtext.Alphanumeric(suffixLength)
	f, err := d.OpenFile(temporary, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}

	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	// Before it has its name: a tool that finds the lock free takes the instance for one that has ended.
	locked, err := filelock.Try(f, filelock.Exclusive)
	if err == nil && !locked {
		err = d.Fault("lock", temporary, errors.New("another process has locked it already"))
	}

	if err != nil {
		return nil, err
	}

	return f, errors.Join(mine(0o644).give(f), d.Rename(temporary, d.Dir, lockName))
}

// OpenLock opens the lock file of an instance, whose lock is free when the instance has ended.
func (i *Instance) OpenLock() (*os.File, error) {
	dir, err := openDirectory(i.Path)
	if err != nil {
		return nil, err
	}

	lock, err := openLock(dir)

	return lock, errors.Join(err, dir.Close())
}

// openLock opens the lock file of a directory, which must be a regular file.
func openLock(d directory) (*os.File, error) {
	f, err := d.OpenFile(lockName, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}

	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = d.Fault("lock", lockName, errors.New("it is not a regular file"))
	}

	if err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return f, nil
}
