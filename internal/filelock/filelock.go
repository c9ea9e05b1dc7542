// Package filelock locks files against other processes, by flock(2): a lock goes
// with the last descriptor of the open file that has it, also when its process is
// killed.
package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Mode is how a file is locked.
type Mode int

// Any number of open files can have a shared lock, or one an exclusive one.
const (
	Shared    Mode = unix.LOCK_SH
	Exclusive Mode = unix.LOCK_EX
)

// Try locks f, or reports false if another process has it locked.
func Try(f *os.File, m Mode) (bool, error) {
	err := lock(f, int(m)|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}

	return err == nil, err
}

// Wait locks f as soon as no other process has it locked.
func Wait(f *os.File, m Mode) error { return lock(f, int(m)) }

func lock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}

	controlErr := raw.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	if controlErr != nil {
		return controlErr
	}

	if err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}

	return nil
}
