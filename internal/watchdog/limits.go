package watchdog

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// LimitAdvice returns what to do about a limit of the system that an error is of; empty means that it is of none. A
// limit may be met wherever a file is opened or a process started, and the error says what to do about that file.
func LimitAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "the limit on open files is too low: raise it (ulimit -n, or LimitNOFILE= of a service)"
	case errors.Is(err, syscall.ENFILE):
		return "the system has no room for further open files: end programs that have many, or raise its limit " +
			"(fs.file-max)"
	}

	// What is not ready has the same error as a process that must not start.
	if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Op != "fork/exec" {
		return ""
	}

	switch {
	case errors.Is(err, syscall.EAGAIN):
		return "the limit on processes is reached: end some, or raise it (ulimit -u, TasksMax= of a service, or pids " +
			"of a container)"
	case errors.Is(err, syscall.ENOMEM):
		return "there is not enough memory to start a process: end some, add memory or swap, or raise the limit of " +
			"the service or container"
	}

	return ""
}

// withAdvice adds what to do about a limit.
func withAdvice(err error) error {
	if advice := LimitAdvice(err); advice != "" {
		return fmt.Errorf("%w: %s", err, advice)
	}

	return err
}
