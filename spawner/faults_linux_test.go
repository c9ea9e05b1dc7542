package spawner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/test/longtests"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
)

// The faults of starts that no other test bears the name of. That nothing is
// left is what the fixture looks for.

// Faults: A1.
func TestExitBeforeTheHandshakeFailsTheSpawn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	a.StartCommand = []string{"sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; echo last words; exit 0"}
	began := time.Now()
	e := f.fail(t, a)
	require.Less(t, time.Since(began), limit)
	require.Equal(t, "exit status 0", e.ExitStatus)
	require.Regexp(t, `^[0-9a-f]{8}$`, e.ID)
	require.LessOrEqual(t, len(e.Output), spawner.MaxCapturedOutput)
	require.True(t, strings.HasSuffix(e.Output, "last words\n"))
	requireCircumstances(t, e)
	require.Len(t, f.log.lines(e.ID, "exit status 0"), 1)
}

// requireCircumstances checks that an error tells what the process was started
// as, and that its secrets do not show by themselves.
func requireCircumstances(t *testing.T, e *spawner.SpawnError) {
	t.Helper()
	require.Contains(t, e.Env, "IN_PASSENGER=1")
	require.Contains(t, e.Limits, "Max open files")
	require.Contains(t, e.User, fmt.Sprintf("(uid %d)", os.Geteuid()))
	require.NotEmpty(t, e.Command)

	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, *e), "IN_PASSENGER")
	}

	text, err := json.Marshal(e.Env)
	require.NoError(t, err)
	require.Contains(t, string(text), `"IN_PASSENGER"`)
	require.NotContains(t, string(text), "=")
}

// Faults: A2.
func TestSignalInTheHandshakeIsNamed(t *testing.T) {
	t.Parallel()

	for signal, name := range map[string]string{"SEGV": "segmentation fault", "KILL": "killed", "ABRT": "aborted"} {
		f := newFixture(t)
		a := app(t, "http")
		a.StartCommand = []string{"sh", "-c", "ulimit -c 0; kill -" + signal + " $$"}
		e := f.fail(t, a)
		require.Equal(t, "signal: "+name, e.ExitStatus)
		require.Len(t, f.log.lines(e.ID, "signal: "+name), 1)
	}
}

// Faults: A3, P5.
func TestSilentProcessIsKilledAtTheStartTimeout(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "http")
	a.StartTimeout = short
	a.StartCommand = []string{"sh", "-c", `trap 'echo I hang here; exit 1' TERM; while :; do sleep 0.01; done`}
	e := f.fail(t, a)
	require.Equal(t, spawner.CategoryTimeout, e.Category)
	require.Contains(t, e.Output, "I hang here", "TERM comes first")
	require.Len(t, f.log.lines(e.ID, string(spawner.StepServe)), 1)

	a.StartCommand = []string{"sh", "-c", `trap '' TERM; while :; do sleep 0.01; done`}
	began := time.Now()
	require.Error(t, f.fail(t, a))
	require.GreaterOrEqual(t, time.Since(began), 5*time.Second)
	require.Less(t, time.Since(began), limit)
}

// Faults: A4.
func TestGarbageBeforeTheHandshakeIsOutput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.start(t, app(t, "http", "noise=\x1b[31m\xff\xfe\n!>in the beginning\r\n>!\n"))
	requireCleanLog(t, f)
}

// requireCleanLog checks that what a process prints cannot be taken for
// anything else.
func requireCleanLog(t *testing.T, f *fixture) {
	t.Helper()
	require.NotContains(t, f.log.String(), "\x1b")
	require.NotContains(t, f.log.String(), "\r")

	for line := range strings.Lines(f.log.String()) {
		require.True(t, strings.HasPrefix(line, `"level"=`) || strings.HasPrefix(line, `"msg"=`), "a forged line: %q",
			line)
	}
}

// Faults: A5.
func TestHandshakeLineThatDoesNotEndFailsTheSpawn(t *testing.T) {
	t.Parallel()

	f := newFixture(t)
	for _, a := range []spawner.App{app(t, "say", "text=!> I have contr"), app(t, "say", "text=!>")} {
		a.StartTimeout = short
		require.Equal(t, spawner.CategoryTimeout, f.fail(t, a).Category)
	}

	e := f.fail(t, app(t, "long-line", "length="+strconv.Itoa(loaderproto.MaxLine+10_000)))
	require.Equal(t, spawner.CategoryProtocol, e.Category)
	require.Contains(t, e.Summary, "line too long")
	require.Less(t, len(e.Summary), 1000)
}

// Faults: A7.
func TestOtherProtocolVersionIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.fail(t, app(t, "say", "text=!> I have control 2.0\n"))
	require.Contains(t, e.Summary, `version "2.0"`)
	require.Contains(t, e.Summary, "and not version 1.0")
	e = f.fail(t, say(t, "!> Ready\n!> sockets: x\n!> \n"))
	require.Contains(t, e.Summary, `"sockets"`)
}

// Faults: A9.
func TestProcessThatDoesNotReadItsOptionsFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "deaf")
	a.StartTimeout = 4 * time.Second // a busy host needs some of it
	long := strings.Repeat("x", 60<<10)
	a.GroupName, a.Ruby, a.NodeJS, a.Python, a.Meteor, a.MeteorSettings = long, long, long, long, long, long
	e := f.fail(t, a)
	require.Equal(t, spawner.CategoryTimeout, e.Category)
	require.Contains(t, e.Summary, "did not read its options")
	requireFailedStep(t, e.Journey, spawner.StepRequest)
}

// Faults: A10.
func TestClosedStdoutBeforeReadyFailsTheSpawn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := app(t, "close")
	a.StartTimeout = short // it may serve on its port until then
	began := time.Now()
	e := f.fail(t, a)
	require.Less(t, time.Since(began), limit)
	require.Contains(t, e.Summary, "closed its stdout")
}

// Faults: A12, R-74.
func TestGrandchildThatKeepsThePipesIsKilled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	began := time.Now()
	e := f.fail(t, app(t, "orphan"))
	require.Less(t, time.Since(began), limit)
	require.Equal(t, "exit status 3", e.ExitStatus)
}

// Faults: A13, P12.
func TestReportedPIDIsNotSignalled(t *testing.T) {
	t.Parallel()

	f := newFixture(t)
	for _, pid := range []int{1, os.Getpid()} {
		p, err := f.spawn(t, app(t, "http", "pid="+strconv.Itoa(pid)))
		if os.Geteuid() != 0 && pid == 1 {
			require.ErrorContains(t, err, "does not belong to user")
			continue
		}

		require.NoError(t, err)
		require.NotEqual(t, pid, p.Info().PID)
		p.Stop(t.Context())
		require.NoError(t, syscall.Kill(pid, 0))
		require.Len(t, f.log.lines("not one of its processes", fmt.Sprintf(`"reported"=%d`, pid)), 1)
	}
}

// Faults: A15.
func TestOtherUsersCannotReachTheSockets(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)
	p, other := f.start(t, tenantApp(t, program, alice, alice)), f.start(t, tenantApp(t, program, bob, bob))

	socket := p.Info().Sockets[0].Address.Addr
	for _, path := range []string{socket, filepath.Dir(socket), filepath.Dir(filepath.Dir(socket))} {
		body, err := get(t, other, "/try-write?path="+path)
		require.NoError(t, err)
		require.Contains(t, body, "permission denied", path)
	}

	body, err := get(t, other, "/try-connect?path="+socket)
	require.NoError(t, err)
	require.Contains(t, body, "permission denied")
	body, err = get(t, p, "/try-connect?path="+socket)
	require.NoError(t, err)
	require.Equal(t, "connected", body, "its own user can")
}

// A user with too many processes gets an error that says so; others get their process.
// Faults: A17.
func TestProcessLimitFailsOnlyThatUsersSpawns(t *testing.T) {
	f := newUserFixture(t)
	program := sharedProgram(t)
	f.start(t, tenantApp(t, program, alice, alice))
	zero, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NPROC, &old))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: 2, Max: old.Max}))
	e := f.fail(t, tenantApp(t, program, alice, alice))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NPROC, &old))
	require.Equal(t, spawner.CategoryOperatingSystem, e.Category)
	require.Contains(t, e.Summary, "refuses to start another process")
	require.Contains(t, e.Advice, "ulimit -u")
	now, err := os.Readlink("/proc/self/fd/0")
	require.NoError(t, err)
	require.Equal(t, zero, now)
	f.start(t, tenantApp(t, program, bob, bob))
}

// Text that looks like a log line, or like a terminal's command, is quoted.
// Faults: A26, R-58.
func TestWildOutputIsQuoted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wild := "\x1b[2J\x1b]0;owned\x07\n\"level\"=0 \"msg\"=\"forged\"\n[ E 2026-01-01 core ]: forged\n\xff\xfe\u202e\r"
	e := f.fail(t, app(t, "exit", "status=1", "print="+wild))
	require.Equal(t, wild, e.Output, "the error has it as it was")
	requireCleanLog(t, f)
}

// Faults: B15.
func TestRedirectedStdoutIsHarmless(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.start(t, app(t, "http"))
	_, err := get(t, p, "/redirect")
	require.NoError(t, err)
	body, err := get(t, p, "/")
	require.NoError(t, err)
	require.Equal(t, "hello", body)

	select {
	case <-p.Exited():
		require.Fail(t, "a process that prints elsewhere is no crash")
	default:
	}

	p.Stop(t.Context())
}

// 100 MB without a newline take no memory.
// Faults: B17.
func TestEndlessLineTakesNoMemory(t *testing.T) {
	var lines, longest atomic.Int64
	f := newFixture(t, func(c *spawner.Config) {
		c.Logger = funcr.New(func(_, line string) {
			lines.Add(1)
			longest.Store(max(longest.Load(), int64(len(line))))
		}, funcr.Options{})
	})
	p := f.start(t, app(t, "http"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err := get(t, p, "/print-long?bytes="+strconv.Itoa(100<<20))
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Less(t, after.Sys, before.Sys+32<<20)
	p.Stop(t.Context())
	require.Positive(t, lines.Load())
	require.Less(t, longest.Load(), int64(36<<10))
}

// Faults: B22.
func TestSpoiledSocketFailsOnlyItsOwnTraffic(t *testing.T) {
	t.Parallel()
	f := newUserFixture(t)
	program := sharedProgram(t)

	other := f.start(t, tenantApp(t, program, bob, bob))
	for _, spoil := range []string{"chmod", "remove", "file", "fifo", "dir", "link"} {
		p := f.start(t, tenantApp(t, program, alice, alice))
		_, err := get(t, p, "/spoil?how="+spoil+"&target="+other.Info().Sockets[0].Address.Addr)
		require.NoError(t, err)
		_, err = get(t, p, "/")
		if spoil == "chmod" {
			require.NoError(t, err, "root may still connect")
		} else {
			require.Error(t, err, spoil)
		}

		p.Stop(t.Context())
		body, err := get(t, other, "/")
		require.NoError(t, err)
		require.Equal(t, "hello", body)
	}
}

// TestNoiseWhileBootingAndRunning: megabytes on each stream while booting and as
// many while running hold nothing up; the log has whole lines.
func TestNoiseWhileBootingAndRunning(t *testing.T) {
	bytes := longtests.Rounds(t, 10<<20, 50<<20)
	f := newFixture(t)
	a := app(t, "flood", "bytes="+strconv.Itoa(bytes))
	a.StartTimeout = 3 * patience
	p := f.start(t, a)
	_, err := get(t, p, "/flood?bytes="+strconv.Itoa(bytes))
	require.NoError(t, err)
	body, err := get(t, p, "/")
	require.NoError(t, err)
	require.Equal(t, "hello", body)
	p.Stop(t.Context())
	whole := `"msg"="` + strings.Repeat("x", 63) + `"`

	n := 0
	for _, line := range f.log.lines("xxx") {
		require.Contains(t, line, whole)
		n++
	}

	require.Positive(t, n)
	require.True(t, strings.Contains(f.log.String(), "droppedBytes") || n == 4*bytes/64)
}
