package e2e_test

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// busyVar makes the test binary one that wants all of a processor.
const busyVar = "E2E_BUSY"

// playBusy ends with its standard input.
func playBusy() (status int) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()

	for n := 0; ; n++ {
		_ = n
	}
}

// A server that gets next to no time serves slowly, and takes no process for dead.
// The test has the machine for itself, as far as this package goes.
// Faults: F8.
func TestStarvedServerKillsNoProcess(t *testing.T) {
	const span, pause = 12 * time.Second, 300 * time.Millisecond

	longtests.Only(t, "it takes all processors for 12 s")
	s := start(t, &launch{
		dir:  t.TempDir(),
		args: append(testApp(t), "--core-heartbeat-timeout", "10", "--min-instances", "2"),
		change: func(cmd *exec.Cmd) {
			path, err := exec.LookPath("nice")
			require.NoError(t, err)
			cmd.Args = append([]string{"nice", "-n", "19", cmd.Path}, cmd.Args[1:]...)
			cmd.Path = path
		},
	})
	s.requireApps(t, 2)
	c := s.client(t)
	c.get(t, "/")

	core, apps := s.core(t), s.apps(t)
	for _, pid := range append([]int{s.Cmd.Process.Pid, core}, apps...) {
		priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
		require.NoError(t, err)
		require.Equal(t, 20-19, priority, "the system call counts from the other end")
	}

	makeBusy(t)

	served := 0
	for end := time.Now().Add(span); time.Now().Before(end); served++ {
		require.Equal(t, "app: GET /?"+strconv.Itoa(served), c.get(t, "/?"+strconv.Itoa(served)).body)
		<-time.After(pause)
	}

	t.Logf("%d requests were served", served)
	require.Equal(t, core, s.core(t))
	require.ElementsMatch(t, apps, s.apps(t))
	require.NotRegexp(t, "does not respond", s.Stderr.String())
	require.NotContains(t, s.Stderr.String(), "detaching")
}

// makeBusy takes the time of all processors, twice, until the test ends.
func makeBusy(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)

	for range 2 * runtime.NumCPU() {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), busyVar+"=1", "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}
