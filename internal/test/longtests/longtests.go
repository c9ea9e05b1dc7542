// Package longtests tells tests whether they may take long: with PASSENGER_LONG_TESTS=1 in the environment.
package longtests

import (
	"fmt"
	"os"
)

// Variable is the name of the variable.
const Variable = "PASSENGER_LONG_TESTS"

// Mark begins what a test logs when it does less than it does in a long run. internal/test/gotest counts these lines.
const Mark = "shortened: "

// TB is what *testing.T and *testing.B are.
type TB interface {
	Helper()
	Log(args ...any)
	Skip(args ...any)
}

// Enabled reports whether this is a long run.
func Enabled() bool { return os.Getenv(Variable) != "" }

// Rounds returns many in a long run, and few otherwise.
func Rounds(t TB, few, many int) int {
	t.Helper()
	if Enabled() {
		return many
	}

	t.Log(fmt.Sprintf("%s%d instead of %d", Mark, few, many))

	return few
}

// Only skips the test unless this is a long run.
func Only(t TB, why string) {
	t.Helper()
	if !Enabled() {
		t.Skip(Variable + "=1 runs it: " + why)
	}
}
