package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// withCompanions returns the directory of an application with these companions, as the file has them.
func withCompanions(t testing.TB, companions string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	writePassengerfile(t, dir, `{"companions": {`+companions+`}}`)

	return dir
}

// companions are the process IDs of companions by their names; what they have started does not count.
func (s *server) companions() map[string][]int {
	found := map[string][]int{}
	for pid := range s.Processes() {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if session, sessionErr := unix.Getsid(pid); err != nil || sessionErr != nil || session != pid {
			continue
		}

		for entry := range strings.SplitSeq(string(environment), "\x00") {
			if name, ok := strings.CutPrefix(entry, "PASSENGER_COMPANION="); ok {
				found[name] = append(found[name], pid)
			}
		}
	}

	return found
}

// awaitCompanion waits until n companions of a name run, none of which is among others, and returns them.
func (s *server) awaitCompanion(t testing.TB, name string, n int, others ...int) (pids []int) {
	t.Helper()
	eventually(t, func() error {
		pids = s.companions()[name]
		if len(pids) != n || slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(others, pid) }) {
			return fmt.Errorf("of %s, there are %v, and should be %d that are none of %v", name, pids, n, others)
		}

		return nil
	})

	return pids
}

func (s *server) status(t testing.TB) string {
	t.Helper()
	body, err := s.admin(t, instancedir.CoreAPI).Get(t.Context(), "/pool.txt")
	require.NoError(t, err)

	return string(body)
}

func TestKilledCompanionComesBack(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000", "count": 2}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})

	before := s.awaitCompanion(t, "worker", 2)
	for _, pid := range before {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}

	s.awaitCompanion(t, "worker", 2, before...)
	require.Equal(t, 2, strings.Count(s.Stderr.String(), "a companion has ended, and is started again"))
	require.Contains(t, s.Stderr.String(), `status="signal: killed"`)
	require.Regexp(t, `worker\.2 +PID: \d+ +Restarts: 1 +running for `, s.status(t))
}

func TestCompanionThatCrashesAtOnceBacksOff(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "echo failing; exit 3"}, "gone": {"command": "no-such-program"}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.Stderr.Await(t, `status="exit status 3"`, 3, s.Ended)
	require.Regexp(t, `restarts=3`, s.Stderr.String())
	require.Contains(t, s.Stderr.String(), "the companion's program no-such-program was not found")
	require.Regexp(t, `gone\.1 +PID: - +Restarts: \d+ +backing off for .*\n    Last end: did not start\n`, s.status(t))
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)

	failed, told := strings.Count(s.Stderr.String(), "msg=failing"), strings.Count(s.Stderr.String(), "exit status 3")
	require.LessOrEqual(t, told, failed+1, "the log has a line for each start")
}

// The end of the test looks for what is left.
func TestCompanionThatHangsAtTheEndIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {
		"command": "trap '' TERM; setsid sleep 1000 & sleep 1000 & echo deaf; wait", "stop_timeout": 0.5
	}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.Stderr.Await(t, "msg=deaf", 1, s.Ended)
	s.signal(t, syscall.SIGTERM)
	s.requireExit(t, 0)
	require.Contains(t, s.Stderr.String(), `msg="a companion has ended" app="`+dir+` (development)" companion=worker `+
		`number=1 status="signal: killed"`)
}

// A request in progress may need a worker until its response is there.
func TestCompanionsEndAfterTheLastRequest(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "trap 'echo told; exit' TERM; while :; do sleep 0.1; done"}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.awaitCompanion(t, "worker", 1)
	held := s.client(t).background(t, "/hold")
	s.Stderr.Await(t, heldText(1), 1, s.Ended)
	app, err := strconv.Atoi(s.client(t).get(t, "/pid").body)
	require.NoError(t, err)

	s.signal(t, syscall.SIGTERM)
	s.Stdout.Await(t, "Stopping", 1, s.Ended)
	eventually(t, func() error {
		c := s.client(t)
		if _, err := c.do(c.request(t, http.MethodGet, "/", nil)); err == nil {
			return errors.New("the server takes requests")
		}

		return nil
	})
	require.NotContains(t, s.Stderr.String(), "told")
	require.NoError(t, syscall.Kill(app, syscall.SIGUSR1))
	a := <-held
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.StatusCode)
	s.requireExit(t, 0)
	require.Contains(t, s.Stderr.String(), "msg=told")
}

func TestCompanionThatFloodsTheLogIsBounded(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "yes flood"}`)
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--max-output-rate", "1000")})
	s.Stderr.Await(t, "lines were dropped", 2, s.Ended)
	require.Less(t, len(s.Stderr.String()), 200<<10)
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
}

func TestOutputOfACompanionIsMarkedInTheLog(t *testing.T) {
	t.Parallel()

	for format, want := range map[string]string{
		"plain": "companion=worker pid=",
		"text":  "/worker[",
	} {
		dir := withCompanions(t, `"worker": {"command": "echo at work; sleep 1000"}`)
		s := start(t, &launch{dir: dir, args: append(testApp(t), "--log-format", format)})
		s.Stderr.Await(t, "at work", 1, s.Ended)
		require.Contains(t, s.Stderr.String(), want)
		s.stop(t)
	}

	// In the application's own file as well.
	dir := withCompanions(t, `"worker": {"command": "echo at work; sleep 1000"}`)
	log := filepath.Join(t.TempDir(), "log")
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--app-log-file", log)})
	eventually(t, func() error {
		if text := readFile(t, log); string(text) != "at work\n" {
			return fmt.Errorf("the file has %q", text)
		}

		return nil
	})
	s.stop(t)
}

func TestApplicationsOfAServerHaveTheirOwnCompanions(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}

	args := testApp(t)
	writePassengerfile(t, dir, fmt.Sprintf(`{"apps": [
		{"dir": "a", "hosts": "a.test", "start_command": %q, "companions": {"worker": {"command": "sleep 1000"}}},
		{"dir": "b", "hosts": "b.test", "start_command": %[1]q, "companions": {"worker": {"command": "sleep 1000"}}}
	]}`, args[1]))
	s := start(t, &launch{dir: dir, args: args[2:]})

	in := map[string]bool{}
	for _, pid := range s.awaitCompanion(t, "worker", 2) {
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		require.NoError(t, err)
		in[filepath.Base(path)] = true
	}

	require.Len(t, in, 2)
}

func TestCompanionWithTooMuchMemoryIsReplaced(t *testing.T) {
	t.Parallel()
	interpreters.Find(t, "python", "python3")
	dir := withCompanions(t, `"worker": {"memory_limit": 100, "command": "exec python3 greedy.py"}`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "greedy.py"), []byte(`
import os, time
if not os.path.exists("once"):
    open("once", "w").close()
    hold = bytearray(os.urandom(1 << 20)) * 200
time.sleep(1000)
`), 0o600))
	s := start(t, &launch{dir: dir, args: testApp(t)})
	first := s.awaitCompanion(t, "worker", 1)
	s.Stderr.Await(t, "a companion uses too much memory", 1, s.Ended)
	s.awaitCompanion(t, "worker", 1, first...)
}

// oneAtATime is a companion that fails where another one runs.
const oneAtATime = `"clock": {"command": "exec flock -n -F -E 9 clock.lock sleep 1000", "overlap": false}`

func requireNoTwoClocks(t testing.TB, s *server) {
	t.Helper()
	require.NotContains(t, s.Stderr.String(), "exit status 9", "two ran at the same time")
}

func TestCompanionsFollowRollingRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000", "count": 2}, `+oneAtATime)
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--min-instances", "2", "--max-pool-size", "4")})
	worker, clock := s.awaitCompanion(t, "worker", 2), s.awaitCompanion(t, "clock", 1)

	l := s.load(t, 4, askOnce)
	for range 20 {
		_, err := s.restartApp(t, dir)
		require.NoError(t, err)
		l.Progress(t, 20)
	}

	l.RequireNoneLost(t)
	s.awaitCompanion(t, "worker", 2, worker...)
	s.awaitCompanion(t, "clock", 1, clock...)
	requireNoTwoClocks(t, s)

	// Not one of those that have ended was started again.
	require.NotContains(t, s.Stderr.String(), "is started again")
	eventually(t, func() error {
		if text := s.status(t); strings.Contains(text, "of an earlier release") {
			return errors.New("some have not ended yet: " + text)
		}

		return nil
	})
}

func TestCompanionsFollowReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000"}, `+oneAtATime)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	worker, clock := s.awaitCompanion(t, "worker", 1), s.awaitCompanion(t, "clock", 1)

	l := s.load(t, 4, askOnce)
	for range longtests.Rounds(t, 3, 20) {
		_, err := s.reload(t)
		require.NoError(t, err)
		worker = s.awaitCompanion(t, "worker", 1, worker...)
		clock = s.awaitCompanion(t, "clock", 1, clock...)
		l.Progress(t, 20)
	}

	l.RequireNoneLost(t)
	requireNoTwoClocks(t, s)
}

func TestCompanionsOfAKilledCoreEnd(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000"},
		"slow": {
			"command": "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done",
			"overlap": false
		},`+oneAtATime)
	s := start(t, &launch{dir: dir, args: testApp(t)})

	before := map[string][]int{}
	for _, name := range []string{"worker", "slow", "clock"} {
		before[name] = s.awaitCompanion(t, name, 1)
	}

	for range longtests.Rounds(t, 2, 10) {
		require.NoError(t, syscall.Kill(s.core(t), syscall.SIGKILL))

		for name := range before {
			before[name] = s.awaitCompanion(t, name, 1, before[name]...)
		}

		requireNoTwoClocks(t, s)
	}
}

func TestCompanionsEndWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "setsid sleep 1000 & exec sleep 1000"}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.awaitCompanion(t, "worker", 2) // with what has left its session
	core := s.core(t)
	s.signal(t, syscall.SIGSTOP) // it must not see the end of the other
	require.NoError(t, syscall.Kill(core, syscall.SIGKILL))
	s.requireNothingLeftOnceKilled(t)
}

func TestCompanionsEndWithTheServerAfterItsWatchdogWasKilled(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "trap '' TERM; while :; do sleep 1; done"}`)
	s := start(t, &launch{dir: dir, args: testApp(t)})
	s.awaitCompanion(t, "worker", 1)
	s.requireNothingLeftOnceKilled(t)
}

// A release that does not start leaves the companions of the one that serves alone.
func TestCompanionsAreThoseOfTheReleaseThatServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary, err := os.Executable()
	require.NoError(t, err)

	release := func(name, procfile string, broken bool) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(path, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(path, "Procfile"), []byte(procfile), 0o600))
		if broken {
			require.NoError(t, os.WriteFile(filepath.Join(path, "broken"), nil, 0o600))
		}

		require.NoError(t, os.Symlink(name, filepath.Join(dir, "next")))
		require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
	}
	web := "web: test ! -e broken && exec " + binary + "\n"
	current := filepath.Join(dir, "current")
	release("r1", web+"worker: sleep 1000\nrelease: ./migrate\n", false)
	s := start(t, &launch{dir: current, args: []string{
		"--procfile-companions", "--envvar", appVar + "=1", "--envvar", "GORACE=atexit_sleep_ms=0",
	}})
	first := s.awaitCompanion(t, "worker", 1)
	in := func(pid int) string {
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		require.NoError(t, err)
		return filepath.Base(path)
	}
	require.Equal(t, "r1", in(first[0]))

	release("r2", web+"worker: sleep 2000\n", true)
	_, err = s.restartApp(t, current)
	require.Error(t, err)
	require.Equal(t, first, s.companions()["worker"], "the old one serves on")

	release("r3", web+"nonsense\n", false)
	_, err = s.restartApp(t, current)
	require.NoError(t, err)
	s.Stderr.Await(t, "Procfile:2: ", 1, s.Ended)
	require.Equal(t, first, s.companions()["worker"])

	release("r4", web+"worker: sleep 3000\nclock: sleep 4000\n", false)
	_, err = s.restartApp(t, current)
	require.NoError(t, err)
	worker, clock := s.awaitCompanion(t, "worker", 1, first...), s.awaitCompanion(t, "clock", 1)
	require.Equal(t, "r4", in(worker[0]))
	require.Equal(t, "r4", in(clock[0]))
	require.Len(t, s.companions(), 2, "neither web nor release is one")
}

func TestCompanionsOfAnIdleApplicationRun(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000"}`)
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--min-instances", "0")})
	before := s.awaitCompanion(t, "worker", 1)

	// Its first process is of the same release.
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
	require.Equal(t, before, s.companions()["worker"])
}

func TestCompanionsOfAnApplicationThatDoesNotStartWait(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "echo worked; sleep 1000"}`)
	s := start(t, &launch{dir: dir, args: append([]string{
		"--start-command", "test -e good && exec " + testApp(t)[1],
	}, testApp(t)[2:]...)})
	s.Stderr.Await(t, "cannot start a process", 1, s.Ended)
	require.NotContains(t, s.Stderr.String(), "worked")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "good"), nil, 0o600))
	eventually(t, func() error {
		if a := s.client(t).get(t, "/"); a.StatusCode != http.StatusOK {
			return errors.New(a.Status)
		}

		return nil
	})
	s.awaitCompanion(t, "worker", 1)
}

func TestBadCompanionsAreRefused(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		`{"companions": {"worker": {"command": "x", "restart": "maybe"}}}`: "" +
			`/Passengerfile.json: companions: worker: restart is maybe: it must be always, on-failure or never`,
		`{"companions": {"worker": {"count": 2}}}`: `/Passengerfile.json: companions: worker: the key command is missing`,
		`{"procfile_companions": true}`: `/Passengerfile.json: procfile_companions: Procfile:3: "<<<< HEAD" names no ` +
			`process: write it as worker: command`,
	} {
		dir := t.TempDir()
		writePassengerfile(t, dir, text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: x\n\n<<<< HEAD\n"), 0o600))
		require.Contains(t, refuse(t, &launch{dir: dir, args: testApp(t)}), want)
	}
}

// The companions run as the user that the server has become.
func TestCompanionsRunAsTheApplicationsUser(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	box := newUsersSandbox(t)
	l := box.asBin(t, "--companions", `{"worker": {"command": "sleep 1000"}}`)
	l.change = func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "SECRET_OF_ROOT=x") }
	s := startIn(t, box, l)
	requireUser(t, binUID, s.awaitCompanion(t, "worker", 1)...)
}

// The pool has nothing of an application before its first request, and forgets it after a while without any.
func TestRestartOfAnApplicationWithoutAProcessIsOne(t *testing.T) {
	t.Parallel()
	dir := withCompanions(t, `"worker": {"command": "sleep 1000"}`)
	s := start(t, &launch{dir: dir, args: append(testApp(t), "--min-instances", "0")})
	before := s.awaitCompanion(t, "worker", 1)

	name := dir + " (development)"
	for _, named := range [][]string{{dir}, {"--name", name}} {
		out := s.tool(t, slices.Concat([]string{"restart-app", "--wait"}, named)...)
		require.Equal(t, "Restarting "+name+"\nRestarted "+name+
			": no process ran, the next request starts the new release\n", out)
		before = append(before, s.awaitCompanion(t, "worker", 1, before...)...)
	}

	require.JSONEq(t, `[{"name": "`+name+`", "restarted": true}]`, s.tool(t, "restart-app", dir, "--json"))
	require.Equal(t, http.StatusOK, s.client(t).get(t, "/").StatusCode)
	require.Contains(t, s.tool(t, "restart-app", dir, "--wait"), "1 of 1 processes replaced")
}
