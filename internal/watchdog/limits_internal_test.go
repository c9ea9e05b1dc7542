package watchdog

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// An agent that a limit keeps from starting is logged with what to do.
func TestLimitsComeWithAdvice(t *testing.T) {
	t.Parallel()

	files := fmt.Errorf("the core cannot be started: %w", os.NewSyscallError("dup", syscall.EMFILE))
	require.EqualError(t, withAdvice(files), "the core cannot be started: dup: too many open files: "+
		"the limit on open files is too low: raise it (ulimit -n, or LimitNOFILE= of a service)")

	processes := &os.PathError{Op: "fork/exec", Path: "x", Err: syscall.EAGAIN}
	require.ErrorContains(t, withAdvice(processes), "the limit on processes is reached")
	require.Equal(t, os.ErrExist, withAdvice(os.ErrExist))
}
