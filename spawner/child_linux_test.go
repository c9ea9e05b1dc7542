package spawner

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/leakgate"
)

func TestExitWaiterLeavesAZombie(t *testing.T) {
	leakgate.Check(t)

	for name, change := range map[string]func(*exitWaiter){
		"pidfd": func(*exitWaiter) {},
		"pid": func(w *exitWaiter) {
			require.NoError(t, unix.Close(w.pidfd))
			w.pidfd = -1
		},
	} {
		cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}, SysProcAttr: &syscall.SysProcAttr{}}
		w := newExitWaiter(cmd)
		require.NoError(t, cmd.Start())
		change(w)
		require.True(t, w.untilExit(cmd.Process.Pid), name)
		require.NoError(t, syscall.Kill(cmd.Process.Pid, 0), "it is reaped already")
		require.Error(t, cmd.Wait())
		require.Equal(t, "exit status 3", cmd.ProcessState.String())
		require.False(t, w.untilExit(cmd.Process.Pid), name)
	}
}

// Faults: B14.
func TestReapedProcessIsNotSignalled(t *testing.T) {
	leakgate.Check(t)
	cleaned := make(chan struct{})
	c, err := startChild(&childSpec{
		identity: &identity{},
		argv:     []string{"/bin/sh", "-c", "exit 3"},
		dir:      "/",
		output:   newOutput(logr.Discard(), false),
		cleanUp:  func() { close(cleaned) },
	})
	require.NoError(t, err)
	<-c.exited
	c.signal(syscall.SIGKILL)
	require.Empty(t, c.sent)
	c.readStdout(c.admin)
	<-c.gone
	<-cleaned
	require.Equal(t, "exit status 3", c.ownStatus())
}

// Faults: R-71.
func TestSpawnFailsCleanlyWithoutDescriptors(t *testing.T) {
	leakgate.Check(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	zero, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)

	for spare := range 12 {
		limit := old
		limit.Cur = uint64(len(entries) + spare)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		c, err := startChild(&childSpec{
			identity: &identity{},
			argv:     []string{"/bin/sh", "-c", "cat"},
			dir:      "/",
			output:   newOutput(logr.Discard(), false),
			cleanUp:  func() {},
		})
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
		if err != nil {
			var f *fault
			require.ErrorAs(t, startFault("/bin/sh", err), &f)
			require.Equal(t, descriptorLimit, f.problem, err)

			continue
		}

		c.signal(syscall.SIGKILL)
		c.readStdout(c.admin)
		<-c.gone
	}

	now, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	require.Equal(t, zero, now)
}

// A worker that cannot be held for want of a descriptor says nothing of its preloader.
// Faults: F2.
func TestPreloaderIsNotBlamedForMissingDescriptors(t *testing.T) {
	leakgate.Check(t)

	worker := exec.CommandContext(t.Context(), "/bin/cat")
	stdin, err := worker.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, worker.Start())

	// The first is for the process, the second for a file of /proc.
	for spare := range 2 {
		restore := leaveDescriptors(t, spare)
		_, err := adopt(worker.Process.Pid, os.Getuid(), os.Getpid()+1)
		restore()

		var f *fault
		require.ErrorAs(t, (&preloader{child: &child{exited: make(chan struct{})}}).explain(err), &f)
		require.Equal(t, descriptorLimit, f.problem, err)
	}

	require.NoError(t, stdin.Close())
	require.NoError(t, worker.Wait())
}

// leaveDescriptors takes all descriptors of this program but some, until restore is called.
func leaveDescriptors(t *testing.T, spare int) (restore func()) {
	t.Helper()

	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))

	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)

	limit := old
	limit.Cur = uint64(len(entries) + 8)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))

	var taken []int

	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}

		taken = append(taken, fd)
	}

	for _, fd := range taken[:spare] {
		_ = unix.Close(fd)
	}

	return func() {
		for _, fd := range taken[spare:] {
			_ = unix.Close(fd)
		}

		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	}
}

// Many processes end at about the same time, and each end looks through all that there are.
func TestLookThroughProcessesKeepsNoDescriptor(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)

		return len(entries)
	}

	before := descriptors()

	for range 20 {
		require.Contains(t, pids(), os.Getpid())
	}

	require.Equal(t, before, descriptors())
}
