package hooks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/hooks"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/internal/test/logged"
)

// reportVariable makes the test binary a script that writes what it sees to the
// file.
const reportVariable = "HOOKS_TEST_REPORT"

// report is what a script sees of itself.
type report struct {
	PID, PGID int
	Args      []string
	Env       []byte // entries separated by NUL; not all is UTF-8
	Stdin     string
}

func (r *report) env() []string { return strings.Split(string(r.Env), "\x00") }

func TestMain(m *testing.M) {
	path := os.Getenv(reportVariable)
	if path == "" {
		os.Exit(m.Run())
	}

	stdin, err := os.Stdin.Stat()
	if err != nil {
		panic(err)
	}

	text, err := json.Marshal(report{
		PID:   os.Getpid(),
		PGID:  syscall.Getpgrp(),
		Args:  os.Args,
		Env:   []byte(strings.Join(os.Environ(), "\x00")),
		Stdin: stdin.Mode().Type().String(),
	})
	if err != nil {
		panic(err)
	}

	if err := os.WriteFile(path, text, 0o600); err != nil {
		panic(err)
	}
}

const patience = 20 * time.Second

// bench is where a test keeps its scripts, whose log can be read, and which
// leaves no process behind.
type bench struct {
	t   *testing.T
	dir string
	log logged.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	marker := "HOOKS_TEST_MARKER"
	leakgate.Check(t, leakgate.Marker(marker+"="+dir))
	t.Setenv(marker, dir)
	t.Setenv("DIR", dir)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // which the test binary as a script would sleep

	return &bench{t: t, dir: dir}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// script makes a program of lines of sh, in whose environment DIR is where it is.
func (b *bench) script(name, lines string) string {
	b.t.Helper()
	return b.file(name, "#!/bin/sh\n"+lines+"\n", 0o700)
}

func (b *bench) file(name, content string, mode os.FileMode) string {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path(name), []byte(content), mode))
	return b.path(name)
}

// fifo makes a pipe that a script tells the test something by; hear waits for it.
func (b *bench) fifo(name string) {
	b.t.Helper()
	require.NoError(b.t, syscall.Mkfifo(b.path(name), 0o600))
}

func (b *bench) hear(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(name))
	require.NoError(b.t, err)

	return strings.TrimSpace(string(text))
}

func (b *bench) lines(name string) []string {
	b.t.Helper()
	return strings.Fields(b.hear(name))
}

func (b *bench) scripts(c hooks.Config) *hooks.Scripts {
	b.t.Helper()
	c.Logger = b.log.Logger()
	s, err := hooks.NewScripts(c)
	require.NoError(b.t, err)

	return s
}

// spawnFailed are scripts for that event.
func (b *bench) spawnFailed(command string, timeout ...time.Duration) *hooks.Scripts {
	b.t.Helper()

	c := hooks.Config{Commands: map[hooks.Name]string{hooks.SpawnFailed: command}}
	for _, d := range timeout {
		c.Timeout = d
	}

	return b.scripts(c)
}

// run runs a script for spawn_failed.
func (b *bench) run(command string, timeout ...time.Duration) error {
	b.t.Helper()
	return b.spawnFailed(command, timeout...).Run(b.t.Context(), spawnFailedEvent)
}

// newRunner is for hooks that are in order.
func newRunner(log logr.Logger, all ...hooks.Hook) *hooks.Runner {
	r, err := hooks.NewRunner(log, all...)
	if err != nil {
		panic(err)
	}

	return r
}
