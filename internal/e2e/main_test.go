// Package e2e_test runs the built binary with real applications, as a user
// does, and looks for what is left behind.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopassenger/passenger/internal/leakgate"
	"github.com/gopassenger/passenger/internal/testapp"
)

const buildTimeout = 5 * time.Minute

// built is where TestMain puts the programs, and below which the tests of this
// package work. Its path is short, since those of Unix sockets have to be.
var built string

func TestMain(m *testing.M) {
	testapp.Main()
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
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
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	var err error
	if built, err = build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status = leakgate.Package(m.Run)
	if err := os.RemoveAll(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// build builds the binary, and the example in Go, into a new directory.
func build() (string, error) {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	for name, source := range map[string]string{"passenger": "cmd/passenger", "goexample": "examples/apps/go"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), ".")
		cmd.Dir = filepath.Join("..", "..", source)
		if out, err := cmd.CombinedOutput(); err != nil {
			_ = os.RemoveAll(dir)
			return "", fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
		}
	}
	return dir, nil
}
