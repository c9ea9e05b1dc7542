//go:build linux

package faults_test

import (
	"os"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// built is where the binary is, and below which the tests work.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
	}

	os.Exit(boxed.Main(m.Run, &built, map[string]string{"passenger": "cmd/passenger"}))
}
