// Package tools_test runs the operator's tools as programs: against real
// servers, and against instances of this process whose applications belong to
// several users.
package tools_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// built is where the programs are, and below which the tests work.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
	}

	os.Exit(boxed.Main(func() int {
		for _, name := range []string{"passenger-status", "passenger-memory-stats", "passenger-config"} {
			if err := os.Symlink("passenger", filepath.Join(built, name)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}

		return m.Run()
	}, &built, map[string]string{"passenger": "cmd/passenger"}))
}
