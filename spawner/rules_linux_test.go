package spawner_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/spawner"
)

// The code names no path that others could make first.
// Faults: R-02.
func TestCodeNamesNoFixedTemporaryPath(t *testing.T) {
	fixed := regexp.MustCompile(`["'](/tmp|/var/tmp|/dev/shm)/`)

	looked := 0
	for _, dir := range []string{".", "../loaders", "../hooks", "../handler", "../internal/agent", "../cmd"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") ||
				!strings.Contains(".go.py.rb.js", filepath.Ext(path)) || filepath.Ext(path) == "" {
				return err
			}

			looked++
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotRegexp(t, fixed, string(text), path)

			return nil
		})
		require.NoError(t, err)
	}

	require.Greater(t, looked, 100)
}

// A process that a preloader names but has not started is
// neither waited for nor signalled.
// Faults: R-11, P12.
func TestForeignWorkerIsNotSignalled(t *testing.T) {
	t.Parallel()
	stranger := exec.CommandContext(t.Context(), "sleep", "600")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, stranger.Start())
	defer func() {
		require.NoError(t, stranger.Process.Kill())
		require.Error(t, stranger.Wait())
	}()
	f := newSmartFixture(t, preloaded(t, modern, "spoil=foreign", fmt.Sprintf("pid=%d", stranger.Process.Pid)))
	e := f.fail(t)
	require.Contains(t, e.Summary, "is not one of its own")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", stranger.Process.Pid))
	require.NoError(t, err)
	require.Contains(t, string(stat), ") S ")
}

// No exit status is taken for another's, also of processes that this program has started otherwise, and none stays a
// zombie.
// Faults: R-53.
func TestExitStatusesAreNeverMixedUp(t *testing.T) {
	t.Parallel()
	n := longtests.Rounds(t, 120, 5000)

	f := newFixture(t)
	a := app(t, "http")
	var wg sync.WaitGroup

	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			status := 1 + i%200
			if i%2 == 0 {
				err := exec.CommandContext(t.Context(), "sh", "-c", "exit "+strconv.Itoa(status)).Run()
				exit := (*exec.ExitError)(nil)
				if !errors.As(err, &exit) || exit.ExitCode() != status {
					t.Errorf("status %v instead of %d", err, status)
				}

				return
			}

			own := a
			own.StartCommand = []string{"sh", "-c", "sleep 600 & exit " + strconv.Itoa(status)}
			s, err := f.NewSpawner(own)
			if err != nil {
				t.Error(err)
				return
			}

			_, err = s.Spawn(t.Context())
			e := (*spawner.SpawnError)(nil)
			if !errors.As(err, &e) || e.ExitStatus != "exit status "+strconv.Itoa(status) {
				t.Errorf("%v instead of %d", err, status)
			}
		})
	}

	wg.Wait()
}
