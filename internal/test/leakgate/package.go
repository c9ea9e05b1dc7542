package leakgate

import (
	"fmt"
	"os"
)

// Package runs the tests of a package, some of which are parallel, behind one
// gate that closes after all of them. It returns the status to exit with.
func Package(run func() int) (status int) {
	w := newWhole(nil)
	status = run()

	if err := (&gate{patience: patience}).until(func() error { return w.check(nil) }); err != nil {
		fmt.Fprintf(os.Stderr, "left behind:\n%v\n", err)
		status = max(status, 1)
	}

	return status
}
