// Package interpreters finds the interpreters that tests need.
package interpreters

import (
	"os"
	"os/exec"
	"slices"
	"strings"
)

// TB is what *testing.T and *testing.B are.
type TB interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// Find returns the path of the first of the candidates that is there, or ends
// the test as Missing does.
func Find(t TB, language string, candidates ...string) string {
	t.Helper()

	for _, c := range candidates {
		if path, err := exec.LookPath(c); c != "" && err == nil {
			return path
		}
	}

	Missing(t, language, "no interpreter for "+language+" in PATH")

	return ""
}

// Root ends a test as Missing does, unless it runs as root.
func Root(t TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root", "needs root, "+why)
	}
}

// Missing ends a test for want of something: as a failure where
// PASSENGER_REQUIRE names the language.
func Missing(t TB, language, reason string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("PASSENGER_REQUIRE"), ","), language) {
		t.Fatal(reason)
	}

	t.Skip(reason)
}
