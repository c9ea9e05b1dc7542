//go:build !linux

package spawner

import (
	"os/exec"
	"syscall"
)

func socketpair() ([2]int, error) {
	// Without SOCK_CLOEXEC, a process that is forked in between would inherit the sockets.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}

	return pair, err
}

// exitWaiter would wait for the end of a process without reaping it; here
// that is not to be had, and what a process leaves behind in its group lives.
type exitWaiter struct{}

func newExitWaiter(*exec.Cmd) *exitWaiter { return &exitWaiter{} }

func (*exitWaiter) untilExit(int) (zombie bool) { return false }

// hasEnded does not know it here.
func hasEnded(int) bool { return false }

// isEnding does not know it here.
func isEnding(int) bool { return false }

// awaitGroup would need to look at other processes.
func awaitGroup(int) {}
