//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopassenger/passenger/internal/leakgate"
)

const buildTimeout = 5 * time.Minute

// built is where TestMain puts the binary, and below which the tests work. Its
// path is short, since those of Unix sockets have to be.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
	}
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	var err error
	if built, err = os.MkdirTemp("", "faults"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(built) }()
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(built, "passenger"), "../../cmd/passenger")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the server: %v\n%s", err, out)
		return 1
	}
	return leakgate.Package(m.Run)
}
