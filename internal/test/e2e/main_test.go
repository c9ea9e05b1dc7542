// Package e2e_test runs the built binary with real applications, as a user
// does, and looks for what is left behind.
package e2e_test

import (
	"os"
	"testing"

	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/testapp"
)

// built is where the programs are, and below which the tests of this package work.
var built string

func TestMain(m *testing.M) {
	testapp.Main()
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
	}

	if os.Getenv(releaseVar) != "" {
		os.Exit(playRelease())
	}

	if os.Getenv(tenantVar) != "" {
		os.Exit(playTenant())
	}

	if os.Getenv(busyVar) != "" {
		os.Exit(playBusy())
	}

	if os.Getenv(clockVar) != "" {
		os.Exit(playClock())
	}

	os.Exit(boxed.Main(m.Run, &built, map[string]string{"passenger": "cmd/passenger", "goexample": "examples/apps/go"}))
}
