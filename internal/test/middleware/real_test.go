package middleware_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
	"github.com/stretchr/testify/require"
)

// build returns the path of the program that serves the application.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "application")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"./testdata/application").CombinedOutput()
	require.NoError(t, err, "%s", out)

	return program
}

// started returns a handler whose process is one of the system's, which has ended when
// the test has.
func started(t *testing.T, program string) *handler.Handler {
	t.Helper()
	factory, err := spawner.New(spawner.Config{Users: spawner.SameUser, Logger: passenger.Silent()})
	require.NoError(t, err)
	pool, err := passenger.New(passenger.Config{Spawner: factory, Logger: passenger.Silent(), SelfChecks: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, pool.Close())
		require.NoError(t, factory.Close())
	})

	return handlerOf(t, pool, handler.Config{}, spawner.App{
		Root:         filepath.Dir(program),
		StartCommand: []string{program},
	})
}
