package spawner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/testapp"
	"github.com/gopassenger/passenger/spawner"
)

// wrapped is a shell, which ends by SIGTERM, around a program that does something before it ends by SIGTERM.
func wrapped(program string) []string {
	return []string{
		"/bin/sh", "-c", `(trap 'kill $!; read line <go; echo saved >saved; exit' TERM; ` + program +
			` & echo >ready; while :; do wait; done); true`,
	}
}

// A program whose shell has not executed it in its own place ends as one does that it has.
func TestProgramOfAShellHasItsTimeToEnd(t *testing.T) {
	t.Parallel()

	for name, start := range map[string]func(*testing.T, *fixture, spawner.App) spawner.Process{
		"application": func(t *testing.T, f *fixture, a spawner.App) spawner.Process {
			t.Helper()
			a.StartCommand = wrapped(testapp.Command()[0])

			return f.start(t, a)
		},
		"companion": func(t *testing.T, f *fixture, a spawner.App) spawner.Process {
			t.Helper()

			return f.companion(t, a, spawner.Companion{
				Name: "worker", Command: wrapped("sleep 1000"), StopTimeout: patience,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := app(t, "generic")
			fifo := filepath.Join(a.Root, "go")
			require.NoError(t, unix.Mkfifo(fifo, 0o600))
			held, err := os.OpenFile(fifo, os.O_RDWR, 0)
			require.NoError(t, err)
			defer held.Close()

			p := start(t, f, a)
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(a.Root, "ready"))
				return err == nil
			}, patience, time.Millisecond)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				p.Stop(t.Context())
			}()

			require.Eventually(t, func() bool {
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Info().PID))
				return err != nil || strings.Contains(string(status), "\nState:\tZ")
			}, patience, time.Millisecond, "the shell ends")
			_, err = held.WriteString("now\n")
			require.NoError(t, err)
			<-stopped
			require.FileExists(t, filepath.Join(a.Root, "saved"))
			require.Equal(t, "signal: terminated", p.ExitStatus())
		})
	}
}

func TestProgramOfAShellThatIgnoresTERMIsKilledInTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *spawner.Config) { c.ShutdownTimeout = 100 * time.Millisecond })
	a := app(t, "generic")
	a.StartCommand = []string{"/bin/sh", "-c", `(trap "" TERM; ` + testapp.Command()[0] + `); true`}
	p := f.start(t, a)
	p.Stop(t.Context())
	require.Equal(t, "signal: terminated", p.ExitStatus())
}
