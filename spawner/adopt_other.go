//go:build !linux

package spawner

import (
	"errors"
	"syscall"
)

// canAdopt reports false: without pidfds a process that a preloader starts looks
// the same as another one that has its number later.
func canAdopt() bool { return false }

type adopted struct{ status func() string }

func adopt(int, int, int) (*adopted, error) { return nil, errors.ErrUnsupported }

func (*adopted) awaitEnd() (status string)  { return "" }
func (*adopted) signal(syscall.Signal)      {}
func (*adopted) signalAlone(syscall.Signal) {}

// killMarked would need the environment of other processes.
func killMarked(string, int) []int { return nil }
