package realapps_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const (
	// deadline bounds what a test waits for.
	deadline = time.Minute
	// buildTimeout bounds a generator, a migration or a build.
	buildTimeout = 5 * time.Minute
)

// slow skips a test of an application that takes too long to install, or to build,
// for each run. "make realapps" runs them all.
func slow(t testing.TB) {
	t.Helper()
	if os.Getenv("PASSENGER_REAL_APPS") != "1" {
		t.Skip("PASSENGER_REAL_APPS=1, as set by make realapps, runs this test")
	}
}

// workshop is where an application is made and run.
type workshop struct {
	*boxed.Box
	// dir is the application's directory.
	dir string
	env []string
}

// newWorkshop makes one, with the application's directory not yet there.
func newWorkshop(t testing.TB, env ...string) *workshop {
	t.Helper()
	box := boxed.New(t, built)
	return &workshop{Box: box, dir: filepath.Join(box.Dir, "app"), env: env}
}

// command returns a command in the application's directory, or in the box while
// there is none.
func (w *workshop) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	if _, err := os.Stat(w.dir); err != nil {
		cmd.Dir = w.Dir
	}

	cmd.Env = append(append(w.Env(), "PWD="+cmd.Dir), w.env...)

	return cmd
}

// run runs a command, which must succeed, and returns what it prints.
func (w *workshop) run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	out, err := w.command(ctx, name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)

	return string(out)
}

// passenger runs a command of the binary, whatever its status.
func (w *workshop) passenger(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	text, err := w.command(ctx, filepath.Join(built, "passenger"), args...).CombinedOutput()

	return string(text), err
}

// write makes a file of the application, and the directories that lead to it.
func (w *workshop) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// edit replaces texts, given as old, new, in a file. Each old one must be there.
func (w *workshop) edit(t testing.TB, name string, oldnew ...string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	content, err := os.ReadFile(path)
	require.NoError(t, err)

	text := string(content)
	for i := 0; i < len(oldnew); i += 2 {
		require.Contains(t, text, oldnew[i], "%s", path)
		text = strings.Replace(text, oldnew[i], oldnew[i+1], 1)
	}

	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// copySource makes the application's directory from one in testdata.
func (w *workshop) copySource(t testing.TB, name string) {
	t.Helper()
	source := os.DirFS(filepath.Join("testdata", name))
	require.NoError(t, os.CopyFS(w.dir, withoutPackages{source}))
}

// packages returns the directory of the npm packages that were installed for an
// application in testdata, or ends the test for want of them, or of a Node.js that they
// run with.
func packages(t testing.TB, name string, oldest int) string {
	t.Helper()
	node := interpreters.Find(t, "node", "node")
	out, err := exec.CommandContext(t.Context(), node, "-p", "parseInt(process.versions.node)").Output()
	require.NoError(t, err)
	version, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	if version < oldest {
		interpreters.Missing(t, name, fmt.Sprintf("%s needs Node.js %d, and this is %d", name, oldest, version))
	}

	path, err := filepath.Abs(filepath.Join("testdata", name, "node_modules"))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		interpreters.Missing(t, name, "the npm packages of "+name+" are not installed: run scripts/install-realapps")
	}

	return path
}

// linkPackages gives the application the npm packages.
func (w *workshop) linkPackages(t testing.TB, path string) {
	t.Helper()
	require.NoError(t, os.Symlink(path, filepath.Join(w.dir, "node_modules")))
}

// python returns a Python that has a module, or ends the test for want of one.
func python(t testing.TB, module string) string {
	t.Helper()

	for _, name := range []string{os.Getenv("PASSENGER_TEST_PYTHON"), "/usr/bin/python3", "python3"} {
		if name == "" {
			continue
		}

		// Not a shim: it has to be found with the HOME of a box, too.
		out, err := exec.CommandContext(t.Context(), name, "-c", "import sys, "+module+
			"; print(sys.executable)").Output()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
	}

	interpreters.Missing(t, module, "no Python that has "+module+": run scripts/install-realapps")

	return ""
}

// daemon starts a server that the application needs, and waits until it listens on a Unix socket. It ends with the
// test, after what uses it.
func (w *workshop) daemon(t testing.TB, socket, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = w.Dir
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		killer := time.AfterFunc(deadline, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()

		killer.Stop()
	})

	require.NoError(t, awaited.Within(deadline, func() error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
		if err == nil {
			err = conn.Close()
		}

		return err
	}))
}
