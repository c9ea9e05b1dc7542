package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/confine"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// callsVar makes the test binary call what the filter denies, and print what came of it.
const callsVar = "CONFINE_TEST_CALLS"

func TestMain(m *testing.M) {
	if os.Getenv(callsVar) != "" {
		call()
		os.Exit(0)
	}

	os.Exit(m.Run())
}

// calls are harmless where they are not denied: their arguments are wrong.
var calls = map[string][4]uintptr{
	"mount":             {unix.SYS_MOUNT},
	"umount2":           {unix.SYS_UMOUNT2},
	"pivot_root":        {unix.SYS_PIVOT_ROOT},
	"swapon":            {unix.SYS_SWAPON},
	"init_module":       {unix.SYS_INIT_MODULE},
	"kexec_load":        {unix.SYS_KEXEC_LOAD, 0, 99},
	"bpf":               {unix.SYS_BPF, 99},
	"perf_event_open":   {unix.SYS_PERF_EVENT_OPEN},
	"userfaultfd":       {unix.SYS_USERFAULTFD, 1 << 30},
	"io_uring_setup":    {unix.SYS_IO_URING_SETUP},
	"keyctl":            {unix.SYS_KEYCTL, 99},
	"add_key":           {unix.SYS_ADD_KEY},
	"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, 1 << 20},
	"reboot":            {unix.SYS_REBOOT},
	"settimeofday":      {unix.SYS_SETTIMEOFDAY, 1},
	"ptrace":            {unix.SYS_PTRACE, 99},
	"pidfd_getfd":       {unix.SYS_PIDFD_GETFD, 1 << 20},
	"setns":             {unix.SYS_SETNS, 1 << 20},
	"unshare":           {unix.SYS_UNSHARE, 1 << 20},
	"clone":             {unix.SYS_CLONE, unix.CLONE_NEWUSER | unix.CLONE_FS}, // a pair that is wrong
}

func call() {
	for name, c := range calls {
		_, _, errno := unix.Syscall(c[0], c[1], c[2], c[3])
		fmt.Println(name, int(errno))
	}

	_, _, errno := unix.Syscall(unix.SYS_CLONE3, 0, 0, 0)
	fmt.Println("clone3", int(errno))
}

// output returns what a program prints that is started within limits, with the rights of
// each thread that is left afterwards unchanged.
func output(t *testing.T, l *confine.Limits, cmd *exec.Cmd) string {
	t.Helper()
	before := ownRights(t)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	require.NoError(t, l.Start(cmd.Start))
	require.NoError(t, cmd.Wait())

	for range 100 { // threads end, and others begin
		require.Equal(t, before, ownRights(t))
	}

	return out.String()
}

func ownRights(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)

	return rights(string(status))
}

// rights are the lines of /proc/PID/status that are about them.
func rights(status string) string {
	var lines []string
	for line := range strings.Lines(status) {
		for _, name := range []string{"Cap", "NoNewPrivs", "Seccomp:"} {
			if strings.HasPrefix(line, name) {
				lines = append(lines, line)
			}
		}
	}

	return strings.Join(lines, "")
}

func status(t *testing.T, l confine.Limits) string {
	t.Helper()
	return rights(output(t, &l, exec.Command("cat", "/proc/self/status")))
}

func TestProgramHasTheCapabilitiesOfTheListOnly(t *testing.T) {
	interpreters.Root(t, "to have capabilities")
	const chown = "0000000000000001"

	got := status(t, confine.Limits{Bound: true, Capabilities: confine.SetOf(confine.Chown)})
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		require.Contains(t, got, set+":\t"+chown+"\n")
	}

	got = status(t, confine.Limits{Bound: true, NoNewPrivileges: true})
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		require.Contains(t, got, set+":\t0000000000000000\n")
	}

	require.Contains(t, got, "NoNewPrivs:\t1\n")
}

func TestProgramKeepsWhatIsNotBounded(t *testing.T) {
	require.Equal(t, ownRights(t), status(t, confine.Limits{}))
}

// Many at a time, each on a thread of its own, as the pool starts them.
func TestRightsOfThisProgramStayWhileItStartsOthers(t *testing.T) {
	before := ownRights(t)
	ended := make(chan error)

	const starts = 32
	for range starts {
		go func() {
			cmd := exec.Command("true")
			l := confine.Limits{Bound: true, NoNewPrivileges: true}
			err := l.Start(cmd.Start)
			if err == nil {
				err = cmd.Wait()
			}

			ended <- err
		}()
	}

	for range starts {
		require.NoError(t, <-ended)
	}

	require.Equal(t, before, ownRights(t))
	limited := 0
	threads, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)

	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err == nil && rights(string(text)) != before {
			limited++
		}
	}

	require.LessOrEqual(t, limited, 5, "one for each kind of limits in these tests")
}

func TestFilterDeniesWhatManagesTheSystem(t *testing.T) {
	if !confine.FilterSupported() {
		t.Skip("there is no filter for this processor")
	}

	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), callsVar+"=1", "GORACE=atexit_sleep_ms=0")

	got := output(t, &confine.Limits{NoNewPrivileges: true, Filter: true}, cmd)
	for name := range calls {
		require.Contains(t, got, fmt.Sprintf("%s %d\n", name, unix.EPERM))
	}

	require.Contains(t, got, fmt.Sprintf("clone3 %d\n", unix.ENOSYS),
		"its flags cannot be seen, and programs use clone then")

	// The same calls without the filter fail for another reason, or not at all.
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), callsVar+"=1", "GORACE=atexit_sleep_ms=0")
	require.NotContains(t, output(t, &confine.Limits{NoNewPrivileges: true}, cmd),
		fmt.Sprintf("clone %d\n", unix.EPERM))
}

func TestFilterNeedsNoNewPrivilegesWithoutRoot(t *testing.T) {
	interpreters.Root(t, "to drop CAP_SYS_ADMIN")
	if !confine.FilterSupported() {
		t.Skip("there is no filter for this processor")
	}

	setpriv := interpreters.Find(t, "setpriv", "setpriv")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(setpriv, "--bounding-set", "-sys_admin", self, "-test.run", "^TestFilterIsRefused$", "-test.v")
	cmd.Env = append(os.Environ(), "CONFINE_TEST_REFUSED=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS")
}

// TestFilterIsRefused is for TestFilterNeedsNoNewPrivilegesWithoutRoot.
func TestFilterIsRefused(t *testing.T) {
	if os.Getenv("CONFINE_TEST_REFUSED") == "" {
		t.Skip("another test starts this one")
	}

	l := confine.Limits{Filter: true}
	err := l.Start(func() error { panic("was started") })
	require.ErrorIs(t, err, confine.ErrFilter)
	require.ErrorContains(t, err, "set that to on")
}

// BenchmarkStart is what limits cost beside the start itself.
func BenchmarkStart(b *testing.B) {
	for name, l := range map[string]confine.Limits{"plain": {}, "limited": {Bound: true, NoNewPrivileges: true}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("true")
				require.NoError(b, l.Start(cmd.Start))
				require.NoError(b, cmd.Wait())
			}
		})
	}
}
