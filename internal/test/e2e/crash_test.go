package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that dies in a request costs that request and nothing else.
func TestCrash(t *testing.T) {
	t.Parallel()

	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := k.start(t, "--envvar", "CRASH=1", "--environment", "production")
			c := s.client(t)
			first := c.get(t, "/pid").body

			fds := s.fds(t)
			for range 2 {
				a := c.get(t, "/crash")
				require.Equal(t, http.StatusBadGateway, a.StatusCode, a.body)
				a = c.get(t, "/pid")
				require.Equal(t, http.StatusOK, a.StatusCode, a.body)
				require.NotEqual(t, first, a.body)
				first = a.body
			}

			s.requireApps(t, 1)
			s.requireNoMoreFDs(t, fds)
		})
	}
}

// Of two processes that have requests, one is killed.
func TestKill(t *testing.T) {
	t.Parallel()
	s := start(t, &launch{dir: t.TempDir(), args: append(testApp(t), "--min-instances", "2")})
	c := s.client(t)
	s.requireApps(t, 2)
	c.get(t, "/pid")
	fds := s.fds(t)
	var requests []<-chan fetched
	eventually(t, func() error {
		if n := strings.Count(s.Stderr.String(), heldText(1)); n < 2 {
			// The second process may still be starting.
			requests = append(requests, c.background(t, "/hold"))
			return fmt.Errorf("%d processes hold a request", n)
		}

		return nil
	})
	apps := s.apps(t)
	killed, other := strconv.Itoa(apps[0]), strconv.Itoa(apps[1])
	require.NoError(t, syscall.Kill(apps[0], syscall.SIGKILL))
	eventually(t, func() error {
		log := s.Stderr.String()
		if !strings.Contains(log, "a process ended by itself") && !strings.Contains(log, "detaching a process") {
			return errors.New("the end of the process was not noticed")
		}

		return nil
	})

	// Who asks from now on does not notice.
	for range 20 {
		a := c.get(t, "/pid")
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		require.NotEqual(t, killed, a.body)
	}

	require.NoError(t, syscall.Kill(apps[1], syscall.SIGUSR1))

	statuses := map[int]int{}
	for _, r := range requests {
		a := <-r
		require.NoError(t, a.err)
		statuses[a.StatusCode]++
		if a.StatusCode == http.StatusOK {
			require.Equal(t, other, a.body)
		}
	}

	require.Positive(t, statuses[http.StatusOK])
	require.Positive(t, statuses[http.StatusBadGateway])
	require.Len(t, statuses, 2)
	s.requireApps(t, 2)
	require.NotContains(t, s.apps(t), apps[0])
	c.CloseIdleConnections()

	// Connections to a process are kept, as many as it served at a time.
	s.requireNoMoreFDs(t, fds+len(requests))
}

// requireApps waits until there are n processes.
func (s *server) requireApps(t testing.TB, count int) {
	t.Helper()
	eventually(t, func() error {
		if apps := s.apps(t); len(apps) != count {
			return fmt.Errorf("there are the processes %v, not %d", apps, count)
		}

		return nil
	})
}
