//go:build !linux

package agent

import (
	"errors"
	"os"
)

// holdProgram holds nothing: without /proc, no file can be executed that may have lost its name. A
// new core runs what is at the name that this program was started by.
func holdProgram(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func descriptorPath(f *os.File) string { return f.Name() }
