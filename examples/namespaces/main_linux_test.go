package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// build builds the example application and returns the program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hello")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../apps/go").CombinedOutput()
	require.NoError(t, err, "%s", out)

	return program
}

func newFactory(t *testing.T) spawner.Factory {
	t.Helper()
	processes, err := spawner.New(spawner.Config{Users: spawner.SameUser})
	require.NoError(t, err)

	return isolated{processes}
}

func TestIsolatedProcessesAreWhatSpawnersPromise(t *testing.T) {
	interpreters.Root(t, "to make namespaces")
	interpreters.Find(t, "setsid", "unshare") // of the same package
	program := build(t)
	spawnertest.Conform(t, func(t *testing.T) spawnertest.Subject {
		t.Helper()
		app := func(command string) spawner.App {
			return spawner.App{Root: t.TempDir(), GroupName: "hello", StartCommand: []string{command}}
		}

		return spawnertest.Subject{
			Factory: newFactory(t),
			App:     app(program),
			Broken:  app("false"),
			Kill:    func(p spawner.Process) { require.NoError(t, syscall.Kill(p.Info().PID, syscall.SIGKILL)) },
		}
	})
}

func TestIsolatedProcessesHaveNamespacesOfTheirOwn(t *testing.T) {
	interpreters.Root(t, "to make namespaces")
	interpreters.Find(t, "setsid", "unshare")
	f := newFactory(t)
	defer func() { require.NoError(t, f.Close()) }()
	s, err := f.NewSpawner(spawner.App{Root: t.TempDir(), StartCommand: []string{build(t)}})
	require.NoError(t, err)
	p, err := s.Spawn(t.Context())
	require.NoError(t, err)
	defer p.Stop(t.Context())

	for _, kind := range []string{"mnt", "pid_for_children"} {
		of := func(pid string) string {
			link, err := os.Readlink(filepath.Join("/proc", pid, "ns", kind))
			require.NoError(t, err)
			return link
		}
		require.NotEqual(t, of("self"), of(fmt.Sprint(p.Info().PID)), kind)
	}
}

func TestIsolatedProcessesNeedACommand(t *testing.T) {
	f := newFactory(t)
	defer func() { require.NoError(t, f.Close()) }()
	_, err := f.NewSpawner(spawner.App{Root: t.TempDir()})
	require.ErrorContains(t, err, "give it a start command")
}
