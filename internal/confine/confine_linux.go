package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Start calls start, which starts a program by an exec.Cmd, on a thread with no more
// rights than the limits leave to the program. Start returns the error of start, or one of
// this package: then start was not called. It may be called concurrently.
//
// Threads are kept, one for each different Limits, since one that ends leaves its place
// among the processes that the system allows to the first that ask, and a Go program
// that cannot have a thread more ends.
func (l *Limits) Start(start func() error) error {
	if l.met() {
		return start()
	}

	threads.Lock()
	t := threads.with[*l]
	if t == nil {
		t = &thread{limits: *l, starts: make(chan request)}
		if threads.with == nil {
			threads.with = map[Limits]*thread{}
		}

		threads.with[*l] = t
		go t.run()
	}

	threads.Unlock()

	r := request{start: start, result: make(chan error)}
	t.starts <- r

	return <-r.result
}

// thread starts programs within limits.
type thread struct {
	limits Limits
	starts chan request
}

type request struct {
	start  func() error
	result chan error
}

var threads struct {
	sync.Mutex
	with map[Limits]*thread
}

// run has a thread for itself, and never gives it back: no other goroutine is to run with
// what is left of its rights.
func (t *thread) run() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// /proc/PID shows the rights of a program's first thread as those of the program.
		// While this goroutine has that one, the next has another.
		next := make(chan bool)
		go func() {
			close(next)
			t.run()
		}()
		<-next
		runtime.UnlockOSThread()

		return
	}

	limited := false
	for r := range t.starts {
		if !limited {
			if err := t.limits.apply(); err != nil {
				r.result <- err
				continue
			}

			limited = true
		}

		r.result <- r.start()
	}
}

// met reports whether the calling thread has no more rights than the limits leave.
func (l *Limits) met() bool {
	if l.Filter || l.NoNewPrivileges && !noNewPrivileges() {
		return false
	}

	_, data, err := capabilities()
	if err != nil || data[0].Inheritable|data[1].Inheritable != 0 { // what is ambient is inheritable, too
		return false
	}

	if !l.Bound || data[0].Effective&(1<<unix.CAP_SETPCAP) == 0 {
		return true
	}

	for c := range Capability(64) {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if err != nil {
			break
		}

		if has != 0 && !l.Capabilities.Has(c) {
			return false
		}
	}

	return true
}

func noNewPrivileges() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}

// capabilities returns those of the calling thread.
func capabilities() (*unix.CapUserHeader, *[2]unix.CapUserData, error) {
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // the kernel fills in both

	return header, &data, os.NewSyscallError("capget", unix.Capget(header, &data[0]))
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
	for c := range Capability(64) {
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

	header, data, err := capabilities()
	if err != nil || data[0].Inheritable|data[1].Inheritable == 0 {
		return err
	}

	data[0].Inheritable, data[1].Inheritable = 0, 0

	return os.NewSyscallError("capset", unix.Capset(header, &data[0]))
}
