//go:build !linux

package procstat

import (
	"errors"
	"fmt"
	"runtime"
)

// reader reads nothing on this system.
type reader struct{}

func newReader(string) (*reader, error) {
	return nil, fmt.Errorf("reading processes on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (*reader) read(pid int) (Process, bool) { return Process{PID: pid}, true }

func (*reader) readUse(pid int) (Process, bool) { return Process{PID: pid}, false }

// forest is empty on this system.
type forest struct{}

func (*forest) members(*reader, string, []Root) (map[int][]int, error) {
	return nil, errors.ErrUnsupported
}
