// Package load_test runs pools with real processes in all languages under load,
// embedded as a user's program embeds them, and counts the requests that fail.
package load_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	deadline     = time.Minute
	interval     = 5 * time.Millisecond
	buildTimeout = 5 * time.Minute
)

// work is the directory that everything is in. Its path is short, since those
// of Unix sockets have to be.
var work string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	work = dir
	status = m.Run()
	if err := os.RemoveAll(work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	return status
}

// goProgram builds the application in Go, once.
var goProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(work, "goapp")
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "./testdata/go").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build the application in Go: %w\n%s", err, out)
	}

	return path, nil
})
