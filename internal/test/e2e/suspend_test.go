package e2e_test

import (
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
)

// A machine that was suspended is one whose processes were all stopped for
// longer than a core may take to respond. Whichever continues first, no process is killed
// for it, and requests in flight get their responses.
// Faults: F14.
func TestSuspendedMachineKillsNoProcess(t *testing.T) {
	t.Parallel()

	const heartbeat, processes = 2 * time.Second, 2
	for name, resume := range map[string]func(t *testing.T, s *server, core int, apps []int){
		"watchdog first": func(t *testing.T, s *server, core int, apps []int) {
			t.Helper()
			s.signal(t, syscall.SIGCONT)
			s.requireWatchdogGoesOn(t)
			signalAll(t, syscall.SIGCONT, append([]int{core}, apps...)...)
		},
		"core first": func(t *testing.T, s *server, core int, apps []int) {
			t.Helper()
			signalAll(t, syscall.SIGCONT, core)

			// It serves what needs no application.
			require.Equal(t, "static", s.client(t).get(t, "/page.txt").body)
			signalAll(t, syscall.SIGCONT, append([]int{s.Cmd.Process.Pid}, apps...)...)
		},
		"applications first": func(t *testing.T, s *server, core int, apps []int) {
			t.Helper()
			signalAll(t, syscall.SIGCONT, append(slices.Clone(apps), s.Cmd.Process.Pid)...)
			s.requireWatchdogGoesOn(t)
			signalAll(t, syscall.SIGCONT, core)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, &launch{
				dir: newDir(t, map[string]string{"public/page.txt": "static"}),
				args: append(testApp(t),
					"--core-heartbeat-timeout", strconv.Itoa(int(heartbeat.Seconds())), "--min-instances",
					strconv.Itoa(processes)),
			})
			s.requireApps(t, processes)
			c := s.client(t)
			c.get(t, "/pid")
			held := c.background(t, "/hold")
			s.Stderr.Await(t, heldText(1), 1, s.Ended)
			core, apps := s.core(t), s.apps(t)

			signalAll(t, syscall.SIGSTOP, append([]int{s.Cmd.Process.Pid, core}, apps...)...)
			queued := s.client(t).background(t, "/pid")
			<-time.After(2 * heartbeat)
			resume(t, s, core, apps)

			a := <-queued
			require.NoError(t, a.err)
			require.Equal(t, http.StatusOK, a.StatusCode, a.body)

			for end := time.Now().Add(2 * heartbeat); time.Now().Before(end); <-time.After(interval) {
				require.Equal(t, http.StatusOK, c.get(t, "/pid").StatusCode)
			}

			signalAll(t, syscall.SIGUSR1, apps...)
			a = <-held
			require.NoError(t, a.err)
			require.Equal(t, http.StatusOK, a.StatusCode, a.body)
			require.Equal(t, core, s.core(t))
			require.ElementsMatch(t, apps, s.apps(t))
			require.NotRegexp(t, "does not respond", s.Stderr.String())
		})
	}
}

// requireWatchdogGoesOn waits until the watchdog has responded.
func (s *server) requireWatchdogGoesOn(t testing.TB) {
	t.Helper()
	_, err := s.admin(t, instancedir.WatchdogAPI).Call(t.Context(), http.MethodGet, "/status.txt", nil)
	require.NoError(t, err)
}

func signalAll(t testing.TB, sig syscall.Signal, pids ...int) {
	t.Helper()

	for _, pid := range pids {
		require.NoError(t, syscall.Kill(pid, sig))
	}
}
