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

// recorder is a TB that keeps what it is told.
type recorder struct {
	cleanups []func()
	errors   []string
}

func (*recorder) Helper()            {}
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
	g := &gate{patience: time.Second / 10}
	g.begin()
	stop := make(chan struct{})
	go func() { <-stop }()
	r := &recorder{}
	r.Cleanup(func() {
		if err := g.wait(); err != nil {
			r.Errorf("%v", err)
		}
	})
	r.finish()
	close(stop)
	require.Len(t, r.errors, 1)
	require.Contains(t, r.errors[0], "TestGoroutineLeft")
}
