package watchdog_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/watchdog"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func agentOf(p part) watchdog.Agent {
	return watchdog.Agent{Name: p.Name, Command: command, Config: p}
}

// start starts a watchdog, which ends with the test.
func start(t *testing.T, cfg watchdog.Config) *watchdog.Watchdog {
	t.Helper()
	w, err := watchdog.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Shutdown(context.Background()) })

	return w
}

// content waits for a file to be there and returns what is in it.
func content(t *testing.T, path ...string) string {
	t.Helper()
	var text []byte
	require.Eventually(t, func() (ok bool) {
		var err error
		text, err = os.ReadFile(filepath.Join(path...))
		return err == nil
	}, patience, 5*time.Millisecond)

	return strings.TrimSpace(string(text))
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	require.NoError(t, err)

	return n
}

func requireGone(t *testing.T, pid int) {
	t.Helper()
	gone := func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
	require.Eventually(t, gone, patience, 5*time.Millisecond)
}

// await returns what is sent on a channel.
func await[T any](t *testing.T, from <-chan T) (got T) {
	t.Helper()

	select {
	case got = <-from:
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
	}

	return got
}

func TestLifeOfAgents(t *testing.T) {
	dir := t.TempDir()
	var calls []string
	var mu sync.Mutex
	call := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, s)
	}

	agents := make([]watchdog.Agent, 0, 2)
	for _, name := range []string{"first", "second"} {
		a := agentOf(part{Dir: dir, Name: name})
		a.Ready = func(pid int, about json.RawMessage) {
			var got struct{ Name string }
			if json.Unmarshal(about, &got) != nil || got.Name != name || pid < 2 {
				t.Errorf("%s told %s of itself, pid %d", name, about, pid)
			}

			call(name)
		}
		agents = append(agents, a)
	}

	w := start(t, watchdog.Config{Agents: agents, Hook: func(_ context.Context, p watchdog.HookPoint) error {
		call(string(p))
		return nil
	}})
	require.NoError(t, w.Initialized(t.Context()))
	require.NotZero(t, w.PID("first"))
	require.NotEqual(t, w.PID("first"), w.PID("second"))
	require.Zero(t, w.PID("third"))

	w.Send("reopen")
	require.Equal(t, "reopen", content(t, dir, "command"))

	pids := []int{w.PID("first"), w.PID("second")}
	require.NoError(t, w.Shutdown(t.Context()))

	for _, pid := range pids {
		requireGone(t, pid)
	}

	require.Equal(t, "second\nfirst", content(t, dir, "ended"))
	require.Equal(t, []string{
		"before_watchdog_initialization", "first", "second", "after_watchdog_initialization",
		"before_watchdog_shutdown", "after_watchdog_shutdown",
	}, calls)
	require.Empty(t, w.Failed())
}

// An agent that does not come to serve keeps the rest from starting, and whoever
// starts the watchdog learns why.
func TestStartErrors(t *testing.T) {
	for name, test := range map[string]struct {
		part part
		want string
	}{
		"it says why": {part{Fail: "the address is in use"}, "the address is in use"},
		"it dies":     {part{Die: 7}, "exit status 7"},
		"it hangs":    {part{Mute: true}, "within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.part.Dir, test.part.Name = dir, "bad"
			w, err := watchdog.Start(t.Context(), watchdog.Config{
				Agents: []watchdog.Agent{
					agentOf(part{Dir: dir, Name: "good"}), agentOf(test.part), agentOf(part{Dir: dir, Name: "never"}),
				},
				StartTimeout: time.Second,
			})

			require.Nil(t, w)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, "good", content(t, dir, "ended"))
			require.NoFileExists(t, filepath.Join(dir, "never.starts"))
		})
	}
}

func TestStartWithoutTheProgram(t *testing.T) {
	a := agentOf(part{Name: "core"})
	a.Command = func() *exec.Cmd { return exec.Command("/nonexistent/program") }
	_, err := watchdog.Start(t.Context(), watchdog.Config{Agents: []watchdog.Agent{a}})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStartIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	mute := agentOf(part{Dir: dir, Name: "core", Mute: true})
	started := make(chan error, 1)
	go func() {
		_, err := watchdog.Start(ctx, watchdog.Config{Agents: []watchdog.Agent{mute}})
		started <- err
	}()
	_ = content(t, dir, "core.starts")
	cancel()
	require.ErrorIs(t, await(t, started), context.Canceled)
}

func TestHooksAbort(t *testing.T) {
	broken := errors.New("exit status 3")
	for _, point := range []watchdog.HookPoint{watchdog.BeforeInitialization, watchdog.AfterInitialization} {
		t.Run(string(point), func(t *testing.T) {
			dir := t.TempDir()
			w, err := watchdog.Start(t.Context(), watchdog.Config{
				Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core"})},
				Hook: func(_ context.Context, p watchdog.HookPoint) error {
					if p == point {
						return broken
					}

					return nil
				},
			})
			if point == watchdog.BeforeInitialization {
				require.NoFileExists(t, filepath.Join(dir, "core.starts"))
			} else {
				require.NoError(t, err, "the hook waits for what the agents serve")
				err = w.Initialized(t.Context())
				require.NoError(t, w.Shutdown(t.Context()))
				require.Equal(t, "core", content(t, dir, "ended"))
			}

			require.ErrorIs(t, err, broken)
			require.ErrorContains(t, err, string(point))
		})
	}
}

// A hook that fails before the shutdown makes it a forced one.
func TestHookFailsBeforeTheShutdown(t *testing.T) {
	broken := errors.New("exit status 3")
	dir := t.TempDir()
	w := start(t, watchdog.Config{
		Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core", Deaf: true})},
		Hook: func(_ context.Context, p watchdog.HookPoint) error {
			if p == watchdog.BeforeShutdown {
				return broken
			}

			return nil
		},
	})
	err := w.Shutdown(t.Context())
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, watchdog.ErrForced)
}

// No connection is refused while an agent is being replaced, and what it left behind is ended.
// Faults: E1.
func TestKilledAgentIsReplacedWithoutARefusal(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	require.True(t, ok)
	f, err := tcp.File()
	require.NoError(t, err)
	defer f.Close()
	ready := make(chan int, 8)
	a := agentOf(part{Dir: dir, Name: "core", Child: true, Secret: "secret"})
	a.Files = map[string]*os.File{"http": f}
	a.Ready = func(pid int, _ json.RawMessage) { ready <- pid }
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}, KillTimeout: 50 * time.Millisecond})

	pid := await(t, ready)
	for range 3 {
		child := number(t, content(t, dir, "core.child"))
		require.NoError(t, os.Remove(filepath.Join(dir, "core.child")))

		served := time.Now()
		for time.Since(served) < 1100*time.Millisecond { // it has to have been healthy
			ask(t, l.Addr().String(), "secret", pid)
		}

		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		requireGone(t, pid)

		// This waits in the queue of the socket until there is a server.
		server := ask(t, l.Addr().String(), "secret", 0)
		pid = await(t, ready)
		require.Equal(t, pid, server)
		require.Equal(t, pid, w.PID("core"))
		requireGone(t, child)
	}

	require.Empty(t, w.Failed())
}

// An agent that hangs is killed and replaced, and one that does not is left
// alone.
// Faults: E3.
func TestHangingAgentIsReplaced(t *testing.T) {
	dir := t.TempDir()
	ready := make(chan int, 4)
	a := agentOf(part{Dir: dir, Name: "core"})
	a.Ready = func(pid int, _ json.RawMessage) { ready <- pid }
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}, HeartbeatTimeout: 2 * time.Second})

	pid := await(t, ready)
	select {
	case <-ready:
		require.Fail(t, "an agent that responds was replaced")
	case <-time.After(3 * time.Second):
	}

	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	require.NotEqual(t, pid, await(t, ready))
	requireGone(t, pid)
	require.Empty(t, w.Failed())
}

// An agent gets another configuration without anybody being refused, and keeps its
// own if the new one is no good.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	require.True(t, ok)
	f, err := tcp.File()
	require.NoError(t, err)
	defer f.Close()
	files := map[string]*os.File{"http": f}
	a := agentOf(part{Dir: dir, Name: "core", Secret: "old"})
	a.Files = files
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}})
	old := w.PID("core")
	ask(t, l.Addr().String(), "old", old)

	failing := watchdog.Replacement{Config: part{Dir: dir, Name: "core", Fail: "no good"}, Files: files}
	require.ErrorContains(t, w.Replace(t.Context(), "core", failing), "no good")
	require.Equal(t, old, w.PID("core"))
	ask(t, l.Addr().String(), "old", old)
	failed, told := errors.AsType[*watchdog.FailedError](w.Replace(t.Context(), "core", failing))
	require.True(t, told)
	require.JSONEq(t, `["why"]`, string(failed.Details))
	require.Error(t, w.Replace(t.Context(), "another", watchdog.Replacement{Config: nil, Files: nil}))

	good := watchdog.Replacement{Config: part{Dir: dir, Name: "core", Secret: "new"}, Files: files}
	require.NoError(t, w.Replace(t.Context(), "core", good))
	ask(t, l.Addr().String(), "new", w.PID("core"))
	requireGone(t, old)

	// Also after it has died.
	require.NoError(t, syscall.Kill(w.PID("core"), syscall.SIGKILL))
	ask(t, l.Addr().String(), "new", 0)
	require.NoError(t, w.Shutdown(t.Context()))
	tooLate := watchdog.Replacement{Config: part{}, Files: nil}
	require.ErrorIs(t, w.Replace(t.Context(), "core", tooLate), watchdog.ErrStopping)
}

// The end of the watchdog is also that of a successor that has not come to serve.
func TestShutdownWhileReplacing(t *testing.T) {
	dir := t.TempDir()
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core"})}})
	mute := watchdog.Replacement{Config: part{Dir: dir, Name: "next", Mute: true}, Files: nil}
	replaced := make(chan error, 1)
	go func() { replaced <- w.Replace(context.Background(), "core", mute) }()
	_ = content(t, dir, "next.starts")
	require.NoError(t, w.Shutdown(t.Context()))
	require.ErrorIs(t, await(t, replaced), watchdog.ErrStopping)
	require.Equal(t, "core", content(t, dir, "ended"))
}

// ask connects and returns the pid of the server, which is pid if that is not 0.
func ask(t *testing.T, address, secret string, pid int) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	said, who, _ := strings.Cut(string(b), " ")
	require.Equal(t, secret, said)
	if pid != 0 {
		require.Equal(t, strconv.Itoa(pid), who)
	}

	return number(t, who)
}

// An agent that fails at each start is given up.
// Faults: E2, P10.
func TestAgentThatAlwaysFailsIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	a := agentOf(part{Dir: dir, Name: "core", Die: 5, DieAfter: 1})
	a.MaxFailedStarts = 2
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}})
	require.NoError(t, syscall.Kill(w.PID("core"), syscall.SIGKILL))
	err := await(t, w.Failed())
	require.ErrorIs(t, err, watchdog.ErrStartFailed)
	require.ErrorContains(t, err, "2 times")
	require.ErrorContains(t, err, "exit status 5")
	require.Len(t, content(t, dir, "core.starts"), 3)
	require.Zero(t, w.PID("core"))
	require.NoError(t, w.Shutdown(t.Context()))
}

// Between the attempts there is time, in which the watchdog can be stopped.
func TestShutdownBetweenAttempts(t *testing.T) {
	dir := t.TempDir()
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core", Crash: true})}})
	require.Eventually(t, func() bool { return w.PID("core") == 0 }, patience, time.Millisecond)
	require.NoError(t, w.Shutdown(t.Context()))
	require.LessOrEqual(t, len(content(t, dir, "core.starts")), 2)
}

func TestAgentThatEndsByItself(t *testing.T) {
	dir := t.TempDir()
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core", Quit: true})}})
	require.ErrorIs(t, await(t, w.Failed()), watchdog.ErrAgentEnded)
	require.NoError(t, w.Shutdown(t.Context()))
	require.Len(t, content(t, dir, "core.starts"), 1)
}

// An agent that does not end is killed, with what it has started.
// Faults: E11.
func TestShutdownKillsHangingAgent(t *testing.T) {
	dir := t.TempDir()
	w := start(t, watchdog.Config{
		Agents:          []watchdog.Agent{agentOf(part{Dir: dir, Name: "core", Deaf: true, Child: true})},
		ShutdownTimeout: 50 * time.Millisecond, AbortTimeout: 50 * time.Millisecond, KillTimeout: 50 * time.Millisecond,
	})
	pid, child := w.PID("core"), number(t, content(t, dir, "core.child"))
	require.ErrorIs(t, w.Shutdown(t.Context()), watchdog.ErrForced)

	for _, p := range []int{pid, child} {
		require.ErrorIs(t, syscall.Kill(p, 0), syscall.ESRCH)
	}
}

// The end of the context makes a graceful shutdown a forced one.
// Faults: E10.
func TestEndOfContextForcesShutdown(t *testing.T) {
	w := start(t, watchdog.Config{
		Agents:       []watchdog.Agent{agentOf(part{Dir: t.TempDir(), Name: "core", Slow: true})},
		AbortTimeout: time.Hour, // it ends by itself
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Shutdown(ctx) }()
	require.Empty(t, ended)
	cancel()
	require.ErrorIs(t, await(t, ended), watchdog.ErrForced)
}

// An agent notices at once that the watchdog has been killed.
// Faults: E4.
func TestAgentNoticesKilledWatchdog(t *testing.T) {
	dir := t.TempDir()
	dog := exec.Command(os.Args[0])
	dog.Env = append(os.Environ(), roleVariable+"=watchdog", "WATCHDOG_TEST_DIR="+dir, "GORACE=atexit_sleep_ms=0")
	dog.Stderr = os.Stderr
	out, err := dog.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, dog.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "serving\n", line)
	require.NoError(t, dog.Process.Kill())
	_ = dog.Wait()
	pid := number(t, content(t, dir, "gone"))

	// If this process has had a watchdog before, it is the one who inherits.
	_, _ = syscall.Wait4(pid, nil, 0, nil)
	requireGone(t, pid)
}

func TestAttachWithoutAWatchdog(t *testing.T) {
	_, err := watchdog.Attach()
	require.ErrorIs(t, err, watchdog.ErrNoParent)
}
