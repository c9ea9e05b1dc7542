//go:build !linux

package watchdog

import (
	"os"
	"syscall"
)

// Only Linux lets a process adopt orphans. Elsewhere they end by themselves when
// they see that the agent is gone.
func adoptOrphans() error { return nil }

func childPIDs() []int { return nil }

func (w *Watchdog) endOrphans(func(pid int) bool) {
	_ = w.children.others()
}

// Reap does nothing here.
func (w *Watchdog) Reap() {}

func (w *Watchdog) reap() {}

func setOOMScore(string) error { return nil }

func protect() string { return "" }

func socketPair() (a, b *os.File, err error) {
	// Without SOCK_CLOEXEC, a child that another goroutine starts would get both ends.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}

	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])

	return os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "watchdog"), nil
}
