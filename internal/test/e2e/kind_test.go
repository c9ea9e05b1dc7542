package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// kind is one of the example applications that serve the same.
type kind struct {
	name string
	// args returns the options that it needs, or ends the test for want of an
	// interpreter.
	args func(t testing.TB) []string
	// streams reports whether it responds while the request is still being sent.
	streams bool
}

var kinds = []kind{
	{"go", goArgs, true},
	{"express", func(t testing.TB) []string { return nodeArgs(t, "express") }, true},
	{"flask", func(t testing.TB) []string { return pythonArgs(t, "flask") }, false},
	{"django", func(t testing.TB) []string { return pythonArgs(t, "django") }, false},
	{"sinatra", sinatraArgs, false},
}

// start starts the application.
func (k *kind) start(t testing.TB, args ...string) *server {
	t.Helper()
	return start(t, &launch{dir: example(t, k.name), args: append(k.args(t), args...), env: littleGarbage()})
}

// example returns the directory of an example application.
func example(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "examples", "apps", name))
	require.NoError(t, err)

	return path
}

func goArgs(testing.TB) []string {
	return []string{"--start-command", filepath.Join(built, "goexample")}
}

// nodeArgs are those of an example that needs Node.js and its packages.
func nodeArgs(t testing.TB, name string) []string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		interpreters.Missing(t, "node", "no Node.js in PATH")
	}

	if _, err := os.Stat(filepath.Join(example(t, name), "package.json")); err == nil {
		if _, err := os.Stat(filepath.Join(example(t, name), "node_modules")); err != nil {
			interpreters.Missing(t, "node", "the packages of the example "+name+" are not installed: run npm ci there")
		}
	}

	return []string{"--nodejs", path}
}

func pythonArgs(t testing.TB, module string) []string {
	t.Helper()

	for _, c := range []string{os.Getenv("PASSENGER_TEST_PYTHON"), "python3", "/usr/bin/python3"} {
		if c != "" && succeeds(t, c, "-c", "import "+module) {
			return []string{"--python", c}
		}
	}

	interpreters.Missing(t, "python", "no Python that has "+module)

	return nil
}

func sinatraArgs(t testing.TB) []string {
	t.Helper()
	if !succeeds(t, "ruby", "-e", `require "rack"; require "sinatra/base"`) {
		interpreters.Missing(t, "ruby", "no Ruby that has rack and sinatra")
	}

	return nil
}

func succeeds(t testing.TB, argv ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()

	return exec.CommandContext(ctx, argv[0], argv[1:]...).Run() == nil
}
