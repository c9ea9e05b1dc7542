package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// requireCopies waits until the instance directory has n copies of the
// loaders, and returns them.
func (s *server) requireCopies(t *testing.T, n int) (copies []string) {
	t.Helper()
	eventuallyWithin(t, deadline, func() (err error) {
		copies, err = filepath.Glob(filepath.Join(s.instance(t).Path, "loaders.*"))
		if err == nil && len(copies) != n {
			err = fmt.Errorf("there are %v, not %d", copies, n)
		}

		return err
	})

	return copies
}

// requireSocketDirs checks that the processes of the core with this copy, and of no
// other, have directories for their sockets.
func (s *server) requireSocketDirs(t *testing.T, copy string) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(s.instance(t).Path, "apps.s", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)

	for _, dir := range dirs {
		require.Equal(t, strings.TrimPrefix(filepath.Ext(copy), "."), filepath.Base(dir)[:4])
	}
}

// What a core that was killed leaves of the loaders and of the sockets of its
// processes, the next one removes, but nothing of one that still serves requests.
func TestWhatKilledCoresLeave(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: testApp(t)})
	c := s.client(t)
	c.get(t, "/")

	copies := s.requireCopies(t, 1)
	for range 5 {
		core := s.core(t)
		require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
		eventuallyWithin(t, deadline, func() error {
			if err := askOnce(t.Context(), c); err != nil {
				return err
			}

			if s.core(t) == core {
				return fmt.Errorf("the core %d is still there", core)
			}

			return nil
		})
		next := s.requireCopies(t, 1)
		require.NotEqual(t, copies, next)
		s.requireSocketDirs(t, next[0])
		copies = next
	}

	app := s.apps(t)[0]
	held := c.background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	_, err := s.admin(t, instancedir.WatchdogAPI).Call(t.Context(), http.MethodPost, "/reload.json", nil)
	require.NoError(t, err)
	require.Equal(t, "app: GET /", s.client(t).get(t, "/").body)
	require.Contains(t, s.requireCopies(t, 2), copies[0], "the core that still has a request")
	require.NoError(t, syscall.Kill(app, syscall.SIGUSR1))
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, fmt.Sprint(app), a.body)
	c.CloseIdleConnections()
	require.NotContains(t, s.requireCopies(t, 1), copies[0])
}
