package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Users without names, whose only processes are those of a test.
const (
	crowdedUID  = 61801
	spaciousUID = 61802
	serverUID   = 61803
)

// The processes of a user who has too many do not start, and clients get an error;
// running ones and others' serve. When there may be more, they start.
// Faults: F9.
func TestProcessLimitOfAUserFailsOnlyTheirSpawns(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := startFlying(t, box)
	running, refused := box.goTenant(t, "running", crowdedUID), box.goTenant(t, "refused", crowdedUID)
	other := box.goTenant(t, "other", spaciousUID)
	c := f.client(t)
	before := []int{f.ask(t, c, running).PID, f.ask(t, c, other).PID}
	c.CloseIdleConnections()
	core, zero, fds := f.core(t), f.standardInput(t), f.fds(t)

	// Root may always have more, but what becomes a user's process may not.
	var old unix.Rlimit
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NPROC, nil, &old))
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 2, Max: old.Max}, nil))

	for range 3 {
		f.requireTooManyProcesses(t, c, refused)
		require.Equal(t, []int{f.ask(t, c, running).PID, f.ask(t, c, other).PID}, before)
	}

	c.CloseIdleConnections()
	f.requireNoMoreFDs(t, fds)
	require.NoError(t, unix.Prlimit(core, unix.RLIMIT_NPROC, &old, nil))
	require.Equal(t, "refused", f.ask(t, c, refused).Name)
	require.Equal(t, []int{f.ask(t, c, running).PID, f.ask(t, c, other).PID}, before)
	require.Equal(t, core, f.core(t))
	require.Equal(t, zero, f.standardInput(t))
}

// The same, where the server itself is that user's, who may have no process and
// no thread more. The core does with the threads that it has.
// Faults: F9.
func TestProcessLimitOfTheServersUserFailsOnlySpawns(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newFlyingSandbox(t)
	f := box.startFlyingAs(t, serverUID)
	running, refused := box.goTenant(t, "running", serverUID), box.goTenant(t, "refused", serverUID)
	c := f.client(t)
	before := f.ask(t, c, running).PID

	// What waits for files needs threads.
	var uploads sync.WaitGroup
	for range 32 {
		uploads.Go(func() {
			a, err := c.do(c.request(t, http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 2<<20)),
				f.header(t, running)...))
			if err != nil || a.StatusCode != http.StatusOK {
				t.Errorf("an upload failed: %v %v", a, err)
			}
		})
	}

	uploads.Wait()
	c.CloseIdleConnections()
	core, zero, fds := f.core(t), f.standardInput(t), f.fds(t)

	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NPROC, &old)) // the server has it from here
	limitProcesses(t, core, serverUID, uint64(f.threads(t)))

	for range 3 {
		f.requireTooManyProcesses(t, c, refused)
		require.Equal(t, before, f.ask(t, c, running).PID)
	}

	c.CloseIdleConnections()
	f.requireNoMoreFDs(t, fds)
	limitProcesses(t, core, serverUID, old.Max)
	require.Equal(t, "refused", f.ask(t, c, refused).Name)
	require.Equal(t, before, f.ask(t, c, running).PID)
	require.Equal(t, core, f.core(t))
	require.Equal(t, zero, f.standardInput(t))
}

// startFlyingAs starts a server as another user.
func (s *sandbox) startFlyingAs(t testing.TB, uid int) *flying {
	t.Helper()

	for _, dir := range []string{s.Tmp, s.Home, filepath.Join(s.Dir, "run")} {
		require.NoError(t, os.Chown(dir, uid, uid))
	}

	return startFlyingWith(t, s, func(cmd *exec.Cmd) { cmd.SysProcAttr = as(uid) })
}

func as(uid int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
}

// threads counts those of the sandbox's processes.
func (s *sandbox) threads(t testing.TB) (n int) {
	t.Helper()

	for pid := range s.Processes() {
		tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
		require.NoError(t, err)
		n += len(tasks)
	}

	return n
}

// limitProcesses sets how many threads the user of a process may have for it to
// start another. That is for the user to do: others need a right for it.
func limitProcesses(t testing.TB, pid, uid int, most uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "prlimit", "--pid", strconv.Itoa(pid), fmt.Sprintf("--nproc=%d:", most))
	cmd.SysProcAttr = as(uid)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// ask asks an application and returns what it has seen.
func (f *flying) ask(t testing.TB, c *client, a *tenant) *tenantEcho {
	t.Helper()
	return readTenant(t, c.get(t, "/", f.header(t, a)...))
}

// requireTooManyProcesses asks for an application that cannot start.
func (f *flying) requireTooManyProcesses(t testing.TB, c *client, a *tenant) {
	t.Helper()
	reply := c.get(t, "/", append(f.header(t, a), "Accept", "text/html")...)
	require.Equal(t, http.StatusInternalServerError, reply.StatusCode, reply.body)
	require.Contains(t, reply.body, "<html")
	f.Stderr.Await(t, "the system refuses to start another process: resource temporarily unavailable", 1, f.Ended)
}

// standardInput is what the core's file descriptor 0 is.
func (s *server) standardInput(t testing.TB) string {
	t.Helper()
	target, err := os.Readlink(s.proc(t, "fd/0"))
	require.NoError(t, err)

	return target
}
