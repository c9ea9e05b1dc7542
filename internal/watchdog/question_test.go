package watchdog_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/watchdog"
)

func TestAgentTellsItsStatusAndAnswersQuestions(t *testing.T) {
	statuses := make(chan string, 4)
	a := agentOf(part{Dir: t.TempDir(), Name: "core", Secret: "s3"})
	a.Status = func(_ int, status json.RawMessage) { statuses <- string(status) }
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}})
	require.Equal(t, `"s3"`, await(t, statuses))

	answer, err := w.Ask(t.Context(), "core", "colour")
	require.NoError(t, err)
	require.JSONEq(t, `"colour of s3"`, string(answer))
	_, err = w.Ask(t.Context(), "another", "colour")
	require.Error(t, err)

	// A question without an answer costs no other its own.
	ctx, cancel := context.WithCancel(t.Context())
	unanswered := make(chan error, 1)
	go func() {
		_, err := w.Ask(ctx, "core", "nothing")
		unanswered <- err
	}()
	answer, err = w.Ask(t.Context(), "core", "size")
	require.NoError(t, err)
	require.JSONEq(t, `"size of s3"`, string(answer))
	cancel()
	require.ErrorIs(t, await(t, unanswered), context.Canceled)
}

func TestQuestionToAnAgentThatDies(t *testing.T) {
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{agentOf(part{Dir: t.TempDir(), Name: "core"})}})
	pid := w.PID("core")
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	result := make(chan error, 1)
	go func() {
		_, err := w.Ask(t.Context(), "core", "colour")
		result <- err
	}()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.ErrorIs(t, await(t, result), watchdog.ErrNotServing)
}

// TestReplacementThatDoesNotServeInTimeLeavesNothing has a time of its own, and a
// configuration for the restarts after the first start.
func TestReplacementThatDoesNotServeInTimeLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{agentOf(part{Dir: dir, Name: "core"})}})
	old := w.PID("core")
	err := w.Replace(t.Context(), "core", watchdog.Replacement{
		Config: part{Dir: dir, Name: "mute", Mute: true}, StartTimeout: 100 * time.Millisecond,
	})
	require.ErrorIs(t, err, watchdog.ErrStartFailed)
	require.Equal(t, old, w.PID("core"))

	_, err = w.Ask(t.Context(), "core", "colour")
	require.NoError(t, err)

	require.NoError(t, w.Replace(t.Context(), "core", watchdog.Replacement{
		Config: part{Dir: dir, Name: "core", Secret: "first"}, Restart: part{Dir: dir, Name: "core", Secret: "later"},
	}))
	first := w.PID("core")
	answer, err := w.Ask(t.Context(), "core", "colour")
	require.NoError(t, err)
	require.JSONEq(t, `"colour of first"`, string(answer))

	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	requireGone(t, first)

	for {
		answer, err = w.Ask(t.Context(), "core", "colour")
		if !errors.Is(err, watchdog.ErrNotServing) {
			break
		}

		require.NoError(t, t.Context().Err())
	}

	require.NoError(t, err)
	require.JSONEq(t, `"colour of later"`, string(answer))
}

// TestReplacementByAnotherProgram: a program that does not serve is forgotten, one that
// does is what is started when it dies. Both learn what the watchdog speaks.
func TestReplacementByAnotherProgram(t *testing.T) {
	dir := t.TempDir()
	a := agentOf(part{Dir: dir, Name: "core"})
	var starts []string
	var mu sync.Mutex
	by := func(name string) func() *exec.Cmd {
		return func() *exec.Cmd {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, name)

			return command()
		}
	}
	a.Command, a.Protocol = by("first"), "2"
	w := start(t, watchdog.Config{Agents: []watchdog.Agent{a}})

	bad := watchdog.Replacement{Config: part{Dir: dir, Name: "core", Protocol: "3"}, Command: by("bad")}
	require.ErrorContains(t, w.Replace(t.Context(), "core", bad), "the protocol is 2")
	good := watchdog.Replacement{Config: part{Dir: dir, Name: "core", Protocol: "2"}, Command: by("good")}
	require.NoError(t, w.Replace(t.Context(), "core", good))
	pid := w.PID("core")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { now := w.PID("core"); return now != 0 && now != pid }, patience,
		5*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"first", "bad", "good", "good"}, starts)
}
