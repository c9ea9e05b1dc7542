package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/watchdog"
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
	if advice := watchdog.LimitAdvice(err); advice != "" {
		fmt.Fprintf(w, "%s: %s\n", program, advice)
	}

	return 1
}
