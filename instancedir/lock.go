package instancedir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks f as how says, or reports that somebody else has it locked.
func tryLock(f *os.File, how int) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// createLock makes the lock file, which nobody ever sees unlocked.
func createLock(d directory) (_ *os.File, err error) {
	temporary := "." + lockName + "." + randomName(suffixLength)
	f, err := d.open(temporary, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	locked, err := tryLock(f, unix.LOCK_EX)
	if err == nil && !locked {
		err = d.fault("lock", temporary, errors.New("somebody else has locked it already"))
	}
	if err != nil {
		return nil, err
	}
	return f, errors.Join(mine(0o644).give(f), d.rename(temporary, d, lockName))
}

// openLock opens the lock file of a directory, which must be a regular file.
func openLock(d directory) (*os.File, error) {
	f, err := d.open(lockName, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = d.fault("lock", lockName, errors.New("it is not a regular file"))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
