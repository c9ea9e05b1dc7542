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
	gate := &packageGate{}
	leakgate.Check(gate)
	return max(m.Run(), gate.end())
}

// packageGate is the leak gate of this process, some of whose tests are
// parallel: it closes after all of them.
type packageGate struct {
	cleanups []func()
	failed   bool
}

func (*packageGate) Helper()            {}
func (g *packageGate) Cleanup(f func()) { g.cleanups = append(g.cleanups, f) }
func (g *packageGate) Errorf(format string, args ...any) {
	g.failed = true
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func (g *packageGate) end() (status int) {
	for _, f := range g.cleanups {
		f()
	}
	if g.failed {
		return 1
	}
	return 0
}
