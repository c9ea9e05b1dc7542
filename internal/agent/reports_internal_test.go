package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/boxed"
	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/smalldisk"
	"github.com/gopassenger/passenger/spawner"
)

func failedStart(id string) *spawner.SpawnError {
	return &spawner.SpawnError{
		ID:      id,
		AppName: "shop",
		Summary: "it is <broken>",
		Advice:  "mend it",
		Output:  "what it printed, hunter2hunter2",
		Env:     spawner.Env{"SECRET_KEY=hunter2hunter2"},
	}
}

func TestReportIsWrittenForTheOwnerOnly(t *testing.T) {
	r := &reporter{dir: t.TempDir(), log: logr.Discard()}
	path, err := r.write(failedStart("0badcafe"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(r.dir, "passenger-error-0badcafe.html"), path)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())
	page, err := os.ReadFile(path)
	require.NoError(t, err)

	for _, part := range []string{
		"Content-Security-Policy", "default-src &#39;none&#39;", "It is &lt;broken&gt;",
		"mend it", "what it printed, (hidden)", "0badcafe",
	} {
		require.Contains(t, string(page), part)
	}

	require.NotContains(t, string(page), "hunter2")

	_, err = r.write(failedStart("0badcafe"))
	require.ErrorIs(t, err, os.ErrExist)
	_, err = r.write(failedStart("../../xx"))
	require.ErrorContains(t, err, "cannot be the name of a file")
}

func TestOldestReportsGo(t *testing.T) {
	r := &reporter{dir: t.TempDir(), log: logr.Discard()}
	other := filepath.Join(r.dir, "passenger-error-notes.html")
	require.NoError(t, os.WriteFile(other, nil, 0o600))

	began := time.Now().Add(-time.Hour)
	for i := range maxReports + 5 {
		path, err := r.write(failedStart(fmt.Sprintf("%08x", 100-i)))
		require.NoError(t, err)
		require.NoError(t, os.Chtimes(path, began, began.Add(time.Duration(i)*time.Second)))
	}

	entries, err := os.ReadDir(r.dir)
	require.NoError(t, err)
	require.Len(t, entries, maxReports+1)
	require.FileExists(t, other)
	require.NoFileExists(t, filepath.Join(r.dir, fmt.Sprintf("passenger-error-%08x.html", 96)))
	require.FileExists(t, filepath.Join(r.dir, fmt.Sprintf("passenger-error-%08x.html", 95)))
}

// Reports from before the clock was set back displace none that is new.
// Faults: F6.
func TestReportsOfTheFutureGoFirst(t *testing.T) {
	r := &reporter{dir: t.TempDir(), log: logr.Discard()}

	for i := range maxReports {
		path, err := r.write(failedStart(fmt.Sprintf("%08x", i)))
		require.NoError(t, err)
		require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(i+2)*time.Hour)))
	}

	for i := range 3 {
		_, err := r.write(failedStart(fmt.Sprintf("%08x", 100+i)))
		require.NoError(t, err)
	}

	for i := range 3 {
		require.FileExists(t, filepath.Join(r.dir, fmt.Sprintf("passenger-error-%08x.html", 100+i)))
	}
}

// A link that another user has put there leads to no file being written.
func TestReportFollowsNoLink(t *testing.T) {
	r := &reporter{dir: t.TempDir(), log: logr.Discard()}
	precious := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.Symlink(precious, filepath.Join(r.dir, "passenger-error-0badcafe.html")))
	_, err := r.write(failedStart("0badcafe"))
	require.Error(t, err)
	require.NoFileExists(t, precious)
}

func TestFullDiskCostsALineInTheLog(t *testing.T) {
	dir := smalldisk.Mount(t, "size=8k,mode=700")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "full"), make([]byte, 4<<10), 0o600))
	var lines []string
	log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	r := &reporter{dir: dir, log: log}
	require.NoError(t, r.Run(t.Context(), hooks.Event{Name: hooks.SpawnFailed, Err: failedStart("0badcafe")}))
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "no space left")
	require.NoFileExists(t, filepath.Join(dir, "passenger-error-0badcafe.html"))
}

func TestHookIsToldOfTheReport(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	script := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, boxed.WriteProgram(script, []byte("#!/bin/sh\necho $PASSENGER_ERROR_REPORT >"+out+"\n"), 0o700))
	scripts, err := hooks.NewScripts(hooks.Config{
		Commands: map[hooks.Name]string{hooks.SpawnFailed: script},
		Timeout:  time.Minute,
		Logger:   logr.Discard(),
	})
	require.NoError(t, err)
	r := &reporter{dir: dir, next: scripts, log: logr.Discard()}
	require.True(t, r.Has(hooks.SpawnFailed))
	require.False(t, r.Has(hooks.AttachedProcess))
	require.NoError(t, r.Run(t.Context(), hooks.Event{
		Name: hooks.SpawnFailed,
		Err:  fmt.Errorf("wrapped: %w", failedStart("0badcafe")),
	}))
	written, err := os.ReadFile(out)
	require.NoError(t, err)
	require.FileExists(t, strings.TrimSpace(string(written)))

	require.NoError(t, r.Run(t.Context(), hooks.Event{Name: hooks.SpawnFailed, Err: errors.New("of another kind")}))
	written, err = os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "\n", string(written))
}

func TestReportDirectoryOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))

	for path, reason := range map[string]string{
		open:                       "to which others can write: chmod go-w",
		file:                       "error_report_dir cannot be used",
		filepath.Join(dir, "none"): "name a directory that exists",
	} {
		err := (&Config{ErrorReportDir: path}).validateReports()
		require.ErrorContains(t, err, reason)
		require.NotContains(t, err.Error(), "\n")
	}

	require.NoError(t, (&Config{}).validateReports())
	require.NoError(t, (&Config{ErrorReportDir: dir}).validateReports())

	interpreters.Root(t, "to make a directory of another user")
	require.NoError(t, os.Chmod(open, 0o700))
	require.NoError(t, os.Chown(open, 65534, 65534))
	require.ErrorContains(t, (&Config{ErrorReportDir: open}).validateReports(), "belongs to another user (uid 65534)")
}
