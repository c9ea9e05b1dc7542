// Package toolse2e_test runs the operator's tools as programs: against real
// servers, and against instances of this process whose applications belong to
// several users.
package toolse2e_test

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

// built is where the programs are, and below which the tests work. Its path is
// short, since those of Unix sockets have to be, and other users may enter it.
var built string

func TestMain(m *testing.M) {
	if os.Getenv(appVar) != "" {
		os.Exit(playApp())
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

// build builds the binary under all its names.
func build() (_ string, err error) {
	dir, err := os.MkdirTemp("", "tl")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "passenger"), ".")
	cmd.Dir = filepath.Join("..", "..", "cmd", "passenger")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}
	for _, name := range []string{"passenger-status", "passenger-memory-stats", "passenger-config"} {
		if err := os.Symlink("passenger", filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}
