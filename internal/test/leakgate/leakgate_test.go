package leakgate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recorder is a TB that keeps its messages.
type recorder struct {
	cleanups []func()
	errors   []string
}

func (*recorder) Helper()            {}
func (*recorder) Name() string       { return "recorded" }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}

func (r *recorder) finish() {
	for _, f := range r.cleanups {
		f()
	}
}

func TestNothingLeft(t *testing.T) {
	r := &recorder{}
	Check(r, Dir(t.TempDir(), filepath.Join(t.TempDir(), "none")), Marker("X=1"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, exec.Command("true").Run())
	r.finish()
	require.Empty(t, r.errors)
}

func TestLeftovers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}

	dir := t.TempDir()
	r := &recorder{}
	Check(r, Within(time.Second/10), Dir(dir), Marker("LEAKGATE_TEST=1"),
		Account(func() error { return errors.New("one session") }))

	f, err := os.Create(filepath.Join(dir, "file"))
	require.NoError(t, err)
	defer f.Close()

	// The shell's child is not ours and only found by its marker.
	cmd := exec.Command("/bin/sh", "-c", "sleep 60 & cat")
	cmd.Env = append(os.Environ(), "LEAKGATE_TEST=1")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r.finish()
	require.Len(t, r.errors, 1)

	for _, part := range []string{
		"our child", "which has LEAKGATE_TEST=1", "/file", "in " + dir + ": file",
		"one session",
	} {
		require.Contains(t, r.errors[0], part)
	}

	for pid := range ours([]string{"LEAKGATE_TEST=1"}) {
		p, err := os.FindProcess(pid)
		require.NoError(t, err)
		_ = p.Kill()
	}

	_ = stdin.Close()
	require.Error(t, cmd.Wait())
}

func TestGoroutineLeft(t *testing.T) {
	r := &recorder{}
	Check(r, Within(time.Second/10))
	stop := make(chan struct{})
	go func() { <-stop }()
	r.finish()
	close(stop)
	require.Len(t, r.errors, 1)
	require.Contains(t, r.errors[0], "TestGoroutineLeft")
}

// What tests leave that overlap is found when the last of them ends, and their own directories at once.
func TestLeftoversOfParallelTests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	first, second := &recorder{}, &recorder{}
	Check(first, Within(time.Second/10), Dir(dir))
	Check(second, Within(time.Second/10))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	first.finish()
	require.Len(t, first.errors, 1)
	require.Contains(t, first.errors[0], "in "+dir+": file")
	require.NotContains(t, first.errors[0], "file descriptor")

	second.finish()
	require.Len(t, second.errors, 1)
	require.Contains(t, second.errors[0], "file descriptor")
	require.Contains(t, second.errors[0], "by one of 2 tests, the last of which are recorded, recorded")
	require.NoError(t, l.Close())

	third := &recorder{}
	Check(third)
	third.finish()
	require.Empty(t, third.errors)
}

// A test that begins while others are checked takes the check over.
func TestCheckIsTakenOver(t *testing.T) {
	first, second := &recorder{}, &recorder{}
	Check(first)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		first.finish()
	}()

	require.Eventually(t, func() bool {
		open.Lock()
		defer open.Unlock()
		return open.tests == 0
	}, patience, time.Millisecond)
	Check(second)
	<-done
	require.Empty(t, first.errors)
	require.NoError(t, l.Close())
	second.finish()
	require.Empty(t, second.errors)
}
