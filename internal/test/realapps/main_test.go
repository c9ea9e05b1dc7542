// Package realapps_test runs applications of well-known frameworks, made by the
// frameworks' own generators or as their documents say, under passenger start.
package realapps_test

import (
	"os"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// built is where passenger is, and below which the tests of this package work.
var built string

func TestMain(m *testing.M) {
	os.Exit(boxed.Main(m.Run, &built, map[string]string{"passenger": "cmd/passenger"}))
}
