package main

import (
	"errors"
	"fmt"
	"io"
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

// tooFewFiles is what to do about EMFILE.
const tooFewFiles = "the limit on open files is too low: raise it (ulimit -n, or LimitNOFILE= of a service)"

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
	if errors.Is(err, syscall.EMFILE) {
		// It may happen wherever a file is opened, and the error says what to do about that file.
		fmt.Fprintf(w, "%s: %s\n", program, tooFewFiles)
	}

	return 1
}
