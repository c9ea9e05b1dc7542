package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

func TestScriptsInOrderUntilOneFails(t *testing.T) {
	b := newBench(t)
	one := b.script("one", `echo one >> $DIR/ran`)
	two := b.script("two and more", `echo two >> $DIR/ran; exit 3`)
	three := b.script("three", `echo three >> $DIR/ran`)
	err := b.run(" " + one + " ;; \n" + two + ";" + three + ";")
	require.ErrorContains(t, err, "the spawn_failed hook script "+two)
	require.ErrorContains(t, err, "exited with status 3")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Equal(t, []string{"one", "two"}, b.lines("ran"))
}

func TestScriptsOfNothing(t *testing.T) {
	b := newBench(t)
	s := b.spawnFailed(" ; ;; ")
	require.False(t, s.Has(hooks.SpawnFailed))
	require.NoError(t, s.Run(t.Context(), spawnFailedEvent))
	require.Empty(t, b.log.String())
}

func TestNewScriptsNamesEveryFault(t *testing.T) {
	_, err := hooks.NewScripts(hooks.Config{
		Commands: map[hooks.Name]string{"atached_process": "/x", hooks.SpawnFailed: "/a\x00b"},
		Timeout:  -time.Second,
		Options:  map[string]string{"a=b": "c"},
	})
	for _, part := range []string{"atached_process", "NUL", "-1s", "a=b"} {
		require.ErrorContains(t, err, part)
	}

	_, err = hooks.NewScripts(hooks.Config{Options: map[string]string{"a": "", "A": ""}})
	require.ErrorContains(t, err, "PASSENGER_A")
}

func TestScriptLog(t *testing.T) {
	b := newBench(t)
	path := b.script("hook", `echo $$ > $DIR/pid; echo out; echo; printf 'no end' >&2`)
	require.NoError(t, b.run(path))
	pid := b.hear("pid")
	fields := fmt.Sprintf(`"hook"="spawn_failed" "command"=%q`, path)
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, fmt.Sprintf(`"level"=0 "msg"="Running spawn_failed hook script: %s" %s`, path, fields), lines[0])
	require.ElementsMatch(t, []string{
		fmt.Sprintf(`"level"=0 "msg"="out" %s "pid"=%s "stream"="stdout"`, fields, pid),
		fmt.Sprintf(`"level"=0 "msg"="no end" %s "pid"=%s "stream"="stderr"`, fields, pid),
	}, lines[1:3])
	require.Equal(t, fmt.Sprintf(`"level"=0 "msg"="Hook script %s (PID %s) exited with status 0" %s "pid"=%s`, path,
		pid, fields, pid), lines[3])
}

func TestScriptFoundInPath(t *testing.T) {
	b := newBench(t)
	b.script("my-hook", `echo ran > $DIR/ran`)
	t.Setenv("PATH", b.dir+":"+os.Getenv("PATH"))
	require.NoError(t, b.run("my-hook"))
	require.Equal(t, []string{"ran"}, b.lines("ran"))
}

func TestNoShellReadsTheName(t *testing.T) {
	b := newBench(t)
	t.Chdir(b.dir)
	path := b.script("it's \"odd\"\n$(touch evil) & `touch evil`", `echo $# > $DIR/ran`)
	require.NoError(t, b.run(path))
	require.Equal(t, []string{"0"}, b.lines("ran"))
	require.NoFileExists(t, b.path("evil"))
}

// Faults: G2.
func TestFailedHookIsReported(t *testing.T) {
	for name, test := range map[string]struct{ lines, want string }{
		"status":          {`exit 1`, "exited with status 1"},
		"killed":          {`kill -9 $$`, "was killed by signal 9 (killed)"},
		"terminated":      {`kill -15 $$`, "was killed by signal 15 (terminated)"},
		"missing program": {`no-such-program-at-all`, "exited with status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			err := b.run(b.script("hook", test.lines))
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, 1, b.log.Count(test.want), b.log.String())
		})
	}
}

// Faults: G3.
func TestHookThatCannotStartIsReported(t *testing.T) {
	b := newBench(t)
	for name, test := range map[string]struct {
		command, want string
		is            error
	}{
		"missing":         {b.path("none"), "there is no such file", fs.ErrNotExist},
		"missing in PATH": {"no-such-program-at-all", "no program of that name in PATH", exec.ErrNotFound},
		"not executable":  {b.file("data", "#!/bin/sh\n", 0o600), "not executable", fs.ErrPermission},
		"no program":      {b.file("text", "hello\n", 0o700), "is not a program", syscall.ENOEXEC},
		"no interpreter":  {b.file("odd", "#!/no/such/interpreter\n", 0o700), "interpreter", fs.ErrNotExist},
		"directory":       {b.dir, "directory", syscall.EISDIR},
		"with arguments":  {"/bin/echo hello", "there is no such file", fs.ErrNotExist},
	} {
		err := b.run(test.command)
		require.ErrorIs(t, err, test.is, name)
		require.ErrorContains(t, err, "cannot execute the spawn_failed hook script "+test.command, name)
		require.ErrorContains(t, err, test.want, name)
	}
}

// Faults: G1, P5.
func TestHangingHookIsKilledAtItsLimit(t *testing.T) {
	const hang = `echo $$ > $DIR/pid; sleep 1000 & exec sleep 1000`
	t.Run("until its time limit", func(t *testing.T) {
		b := newBench(t)
		err := b.run(b.script("hook", hang), 300*time.Millisecond)
		require.ErrorIs(t, err, hooks.ErrTimeLimit)

		require.ErrorContains(t, err, "was killed after 300ms")
		require.Equal(t, 1, b.log.Count("was killed after 300ms"))
		require.Equal(t, 0, b.log.Count("exited with"))
	})
	t.Run("until the context ends", func(t *testing.T) {
		b := newBench(t)
		b.fifo("pid")
		s := b.spawnFailed(b.script("hook", hang))
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("no more time")
		result := make(chan error)
		go func() { result <- s.Run(ctx, spawnFailedEvent) }()
		pid := b.hear("pid")
		cancel(reason)
		err := <-result
		require.ErrorIs(t, err, reason)

		require.ErrorContains(t, err, "PID "+pid)
	})
	t.Run("and is not started at all", func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := b.spawnFailed(b.script("hook", `touch $DIR/ran`)).Run(ctx, spawnFailedEvent)
		require.ErrorIs(t, err, context.Canceled)

		require.NoFileExists(t, b.path("ran"))
	})
}

// Faults: G3.
func TestHookOutputIsCapped(t *testing.T) {
	b := newBench(t)
	line := strings.Repeat("x", 999)
	require.NoError(t, b.run(b.script("hook", `yes `+line+` | head -c 100000000; echo error >&2; true`)))
	logged := b.log.Count(line)
	require.Greater(t, logged, 900)
	require.LessOrEqual(t, logged*len(line), 1<<20)
	dropped := 100_000*999 - logged*999

	// The line on stderr may come at any time.
	found := b.log.Count(fmt.Sprintf(`"droppedBytes"=%d`, dropped)) +
		b.log.Count(fmt.Sprintf(`"droppedBytes"=%d`, dropped+len("error")))
	require.Equal(t, 1, found)
	require.Equal(t, 1, b.log.Count("exited with status 0"))
}

func TestLongLineIsSplit(t *testing.T) {
	b := newBench(t)
	require.NoError(t, b.run(b.script("hook", `head -c 20000 /dev/zero | tr '\0' x; printf '\r\n'`)))
	require.Equal(t, 2, b.log.Count(`"`+strings.Repeat("x", 8<<10)+`"`))
	require.Equal(t, 1, b.log.Count(`"`+strings.Repeat("x", 20000-16<<10)+`"`))
}

// Faults: G3.
func TestHookLeavesNoProcessInItsGroup(t *testing.T) {
	b := newBench(t)
	begin := time.Now()
	require.NoError(t, b.run(b.script("hook", `sleep 1000 & exit 0`)))
	require.Less(t, time.Since(begin), patience)
}

// Faults: G3.
func TestDaemonThatHoldsAHooksPipesIsNotAwaited(t *testing.T) {
	setsid := interpreters.Find(t, "setsid", "setsid")
	b := newBench(t)
	b.fifo("pid")
	path := b.script("hook", setsid+` sh -c 'echo $$ > $DIR/pid; exec sleep 1000' &
		echo hello
		wait_for=$(cat $DIR/go)`)
	b.fifo("go")
	result := make(chan error)
	go func() { result <- b.run(path) }()
	pid, err := strconv.Atoi(b.hear("pid"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	require.NoError(t, os.WriteFile(b.path("go"), []byte("\n"), 0o600))
	begin := time.Now()
	require.NoError(t, <-result)
	require.Less(t, time.Since(begin), patience)
	require.NoError(t, syscall.Kill(pid, 0), "a daemon of its own session is none of ours")
	require.Equal(t, 1, b.log.Count(`"msg"="hello"`))
}

func TestScriptHasASessionOfItsOwn(t *testing.T) {
	b := newBench(t)
	r := b.seen(hooks.Config{}, hooks.Event{Name: hooks.AttachedProcess})
	require.Equal(t, r.PID, r.PGID)
	require.Equal(t, (os.ModeDevice | os.ModeCharDevice).String(), r.Stdin)
}

var spawnFailedEvent = hooks.Event{Name: hooks.SpawnFailed}
