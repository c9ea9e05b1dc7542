package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Start calls start, which starts a program by an exec.Cmd, on a thread with no more
// rights than the limits leave to the program. The thread ends afterwards. Start returns
// the error of start, or one of this package: then start was not called.
func (l *Limits) Start(start func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			// The first thread of a program cannot end, and /proc/PID shows its rights as
			// those of the program. While this goroutine has it, another one has another.
			defer runtime.UnlockOSThread()
			result <- l.Start(start)

			return
		}

		err := l.apply()
		if err == nil {
			err = start()
		}
		result <- err
	}()

	return <-result
}

// apply takes from the calling thread what the program is not to have.
func (l *Limits) apply() error {
	if l.Bound {
		if err := bound(l.Capabilities); err != nil {
			return fmt.Errorf("%w: %w", ErrCapabilities, err)
		}
	}
	if err := disinherit(); err != nil {
		return fmt.Errorf("%w: %w", ErrCapabilities, err)
	}
	if l.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("%w: %w", ErrNoNewPrivileges, os.NewSyscallError("prctl", err))
		}
	}
	if l.Filter { // last: what is above must not be refused
		if err := filter(); err != nil {
			return fmt.Errorf("%w: %w", ErrFilter, err)
		}
	}

	return nil
}

// bound removes from the bounding set what is not to be kept.
func bound(kept Capabilities) error {
	for c := Capability(0); c < 64; c++ {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			return nil //nolint:nilerr // the kernel knows no more of them
		}
		if has == 0 || kept.Has(c) {
			continue
		}
		err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("prctl", err)
		}
	}

	return nil
}

// disinherit leaves nothing that a program of any user gets by being executed here.
func disinherit() error {
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) { // Linux before 4.3 has none
		return os.NewSyscallError("prctl", err)
	}

	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // the kernel fills in both
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if data[0].Inheritable|data[1].Inheritable == 0 {
		return nil
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0

	return os.NewSyscallError("capset", unix.Capset(&header, &data[0]))
}
