package passenger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/loaderproto"
	"github.com/gopassenger/passenger/spawner"
	"github.com/gopassenger/passenger/spawner/spawnertest"
	"github.com/gopassenger/passenger/status"
)

// refused returns why there is no process of an application.
func (f *fixture) refused(name string) error {
	_, err := f.Get(f.Context(), options(name))
	return err
}

func TestFailedSpawnsAreRememberedWhateverStartsLater(t *testing.T) {
	failure := &spawner.SpawnError{
		ID:       "0badcafe",
		AppName:  "a",
		AppRoot:  "/apps/a",
		Summary:  "it is broken",
		Advice:   "mend it",
		Category: spawner.CategoryExplained,
		Output:   "printed\x1b[31m hunter2hunter2\n",
		Env:      spawner.Env{"TOKEN=hunter2hunter2"},
		Message:  &loaderproto.Message{Text: "Traceback:\n  File x\nforged\r\n"},
	}
	inBubbleWith(t, passenger.Config{MaxPoolSize: 4}, spawnertest.Script{
		Failures: map[int]error{1: failure, 3: errors.New("another kind")},
	}, func(f *fixture) {
		require.ErrorIs(f, f.refused("a"), failure)
		require.Equal(f, "it is broken", f.group("a").LastSpawnError.Summary)
		f.get(options("a")).Close(passenger.KeepAlive)
		require.Nil(f, f.group("a").LastSpawnError)
		require.Error(f, f.refused("b"))

		all := f.FailedSpawns()
		require.Len(f, all, 2)
		require.Equal(f, "another kind", all[0].Summary)
		require.Equal(f, []string{"a", "0badcafe", "mend it"}, []string{all[1].GroupName, all[1].ID, all[1].Advice})
		require.Len(f, f.FailedSpawnsOf([]string{f.group("a").APIKey}), 1)
		require.Empty(f, f.FailedSpawnsOf([]string{"no key"}))

		var b strings.Builder
		require.NoError(f, status.WriteFailedSpawns(&b, all, status.TextOptions{}))

		for _, line := range []string{
			"----------- b -----------", "  cannot start b: another kind", "----------- a -----------",
			"  cannot start a: it is broken",
			"  Error ID    : 0badcafe", "  What to do  : mend it", "  | Traceback:", "  |   File x", "  | forged",
			"  | printed (hidden)",
		} {
			require.Contains(f, b.String(), line+"\n")
		}

		require.NotContains(f, b.String(), "hunter2")
	})
}

// An application that fails again and again takes no other's place.
// TestFailedSpawnsOfAnotherPool are those of a core that was to take this one's place.
func TestFailedSpawnsOfAnotherPool(t *testing.T) {
	inBubble(t, 3, spawnertest.Script{}, func(f *fixture) {
		f.get(options("a")).Close(passenger.KeepAlive)
		f.NoteFailedSpawns([]passenger.FailedSpawn{
			{GroupName: "a", Report: spawner.Report{ID: "2"}},
			{GroupName: "a", Report: spawner.Report{ID: "1"}},
			{GroupName: "unknown", Report: spawner.Report{ID: "0"}},
		})
		all := f.FailedSpawnsOf([]string{f.group("a").APIKey})
		require.Len(f, all, 2)
		require.Equal(f, []string{"2", "1"}, []string{all[0].ID, all[1].ID})
		require.Len(f, f.FailedSpawns(), 2)
		require.Nil(f, f.group("a").LastSpawnError, "what serves is well")
	})
}

func TestFailedSpawnsAreBoundedFairly(t *testing.T) {
	script := spawnertest.Script{BeforeSpawn: func(_ context.Context, n int, _ spawner.App) error {
		return &spawner.SpawnError{Summary: fmt.Sprint("failure ", n)}
	}}
	inBubbleWith(t, passenger.Config{MaxPoolSize: 4}, script, func(f *fixture) {
		require.Error(f, f.refused("quiet"))

		for range 3 * passenger.MaxFailedSpawns {
			require.Error(f, f.refused("noisy"))
		}

		all := f.FailedSpawns()
		require.Len(f, all, passenger.MaxFailedSpawns)
		require.Equal(f, "failure 61", all[0].Summary)
		require.Equal(f, "quiet", all[len(all)-1].GroupName)
	})
}

func TestProcessThatEndsByItselfIsAWarningUnlessItsStatusIsZero(t *testing.T) {
	for status, level := range map[string]string{
		"exit status 0": "INFO", "exit status 3": "WARN",
		"signal: killed": "WARN",
	} {
		var b bytes.Buffer
		log := logr.FromSlogHandler(slog.NewTextHandler(&b, nil))
		inBubbleWith(t, passenger.Config{MaxPoolSize: 1, Logger: log}, spawnertest.Script{}, func(f *fixture) {
			f.get(options("a")).Close(passenger.KeepAlive)
			f.factory.Processes()[0].Die(status)
			synctest.Wait()
			require.NoError(f, f.Shutdown(f.Context()))
		})
		require.Contains(t, b.String(), "level="+level+` msg="a process ended by itself" app=a pid=1000 status="`+
			status+`"`)
	}
}

// Options that could not start a process are not kept: who corrects them need not restart the application.
func TestCorrectedOptionsCountAfterAFailedStart(t *testing.T) {
	needsDatabase := func(_ context.Context, _ int, app spawner.App) error {
		if app.Env["DATABASE"] != "shop" {
			return errors.New("there is no database")
		}

		return nil
	}
	inBubble(t, 4, spawnertest.Script{BeforeSpawn: needsDatabase}, func(f *fixture) {
		wrong, right := options("a"), options("a")
		right.App.Env = map[string]string{"DATABASE": "shop"}

		for range 2 {
			_, err := f.Get(f.Context(), wrong)
			require.ErrorContains(f, err, "there is no database")
		}

		f.get(right).Close(passenger.KeepAlive)
		require.Zero(f, f.group("a").Generation, "it is no restart")

		// Of an application that runs, they count from the next restart on.
		f.get(wrong).Close(passenger.KeepAlive)
		require.NoError(f, f.Restart(f.Context(), "a", passenger.RestartOptions{}))
		f.get(wrong).Close(passenger.KeepAlive)
	})
}
