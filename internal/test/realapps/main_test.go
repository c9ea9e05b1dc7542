// Package realapps_test runs applications of well-known frameworks, made by the
// frameworks' own generators or as their documents say, under passenger start.
package realapps_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// built is where passenger is, and below which the tests of this package work.
var built string

func TestMain(m *testing.M) {
	run := func() int {
		status := m.Run()
		if err := checkTable(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(status, 1)
		}

		return status
	}
	os.Exit(boxed.Main(run, &built, map[string]string{"passenger": "cmd/passenger"}))
}
