package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/printable"
)

// exitError ends the program with a status, after what there is to say, which is
// printed as it is.
type exitError struct {
	status int
	text   string
}

func (e *exitError) Error() string { return e.text }

func exit(status int, format string, args ...any) error {
	return &exitError{status: status, text: fmt.Sprintf(format, args...)}
}

// errSaid ends the program with status 1 when everything was said.
var errSaid = &exitError{status: 1}

// limitAdvice returns what to do about a limit of the system that an error is of; empty means that it is of none. It may
// be met wherever a file is opened or a process started, and the error says what to do about that file.
func limitAdvice(err error) string {
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

// report says why program ends and returns the status to end it with.
func report(w io.Writer, program string, err error) (status int) {
	w = printable.TextWriter(w)
	if e, ok := errors.AsType[*exitError](err); ok {
		if e.text != "" {
			fmt.Fprintln(w, e.text)
		}

		return e.status
	}

	// There may be several errors, a line each.
	fmt.Fprintf(w, "%s: %s\n", program, strings.ReplaceAll(err.Error(), "\n", "\n"+program+": "))
	if advice := limitAdvice(err); advice != "" {
		fmt.Fprintf(w, "%s: %s\n", program, advice)
	}

	return 1
}
