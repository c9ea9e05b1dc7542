package boxed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/internal/test/leakgate"
)

const (
	module       = "github.com/gopassenger/passenger/"
	buildTimeout = 5 * time.Minute
)

// Main builds programs into a new directory, runs the tests of a package behind a
// leak gate, and removes the directory. Other users may enter it, and its path is
// short, since those of Unix sockets have to be. It returns the status to exit
// with.
func Main(run func() int, dir *string, programs map[string]string) (status int) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	made, err := os.MkdirTemp("", "box")
	if err != nil {
		fail(err)
		return status
	}

	*dir = made
	defer func() { fail(os.RemoveAll(made)) }()
	if err := os.Chmod(made, 0o755); err != nil { //nolint:gosec // G302: see above
		fail(err)
		return status
	}

	if err := Build(made, programs); err != nil {
		fail(err)
		return status
	}

	return leakgate.Package(run)
}

// Build builds programs, whose sources are directories of this module, into a
// directory.
func Build(dir string, programs map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()

	for name, source := range programs {
		// What debuggers need takes a third of the time.
		out, err := exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-o", filepath.Join(dir, name), module+
			source).CombinedOutput()
		if err != nil {
			return fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
		}
	}

	return nil
}

// CopySelf copies the tests' own program to where other users can execute it.
func CopySelf(path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}

	content, err := os.ReadFile(self) //nolint:gosec // G304: see above
	if err != nil {
		return err
	}

	return os.WriteFile(path, content, 0o755) //nolint:gosec // G306: see above
}

// WriteProgram writes a file that can be run at once. The system refuses to run one that is open for writing, as it
// would be in a child that another goroutine starts meanwhile.
func WriteProgram(path string, content []byte, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()

	return os.WriteFile(path, content, mode)
}
