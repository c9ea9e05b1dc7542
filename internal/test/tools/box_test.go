package tools_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const (
	deadline = 60 * time.Second
	interval = 20 * time.Millisecond
)

// box is a registry of its own, in which tools look.
type box struct{ registry string }

var boxes atomic.Int64

func newBox(t testing.TB) *box {
	t.Helper()
	b := &box{registry: filepath.Join(built, strconv.FormatInt(boxes.Add(1), 10))}
	require.NoError(t, os.Mkdir(b.registry, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(b.registry)) })

	return b
}

func (b *box) list() *instancedir.Listing { return instancedir.List([]string{b.registry}) }

// env is what programs get.
func (b *box) env() []string {
	return []string{
		"PATH=" + built + ":" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + b.registry, "TMPDIR=" + built,
		instancedir.RegistryVariable + "=" + b.registry, "TERM=xterm",
	}
}

func (b *box) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(built, program), args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = b.registry, b.env(), time.Second
	return cmd
}

// result is what a program has printed, and how it ended.
type result struct {
	stdout, stderr string
	status         int
}

// run runs a program to its end. No end is one with a stack trace.
func (b *box) run(t testing.TB, program string, args ...string) result {
	t.Helper()
	return finish(t, b.command(t.Context(), program, args...))
}

// runAs is run as another user, who has no name.
func (b *box) runAs(t testing.TB, uid int, program string, args ...string) result {
	t.Helper()
	needRoot(t)
	cmd := b.command(t.Context(), program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}

	return finish(t, cmd)
}

func finish(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	return launch(t, cmd)()
}

// launch starts a program; what it returns waits for its end.
func launch(t testing.TB, cmd *exec.Cmd) func() result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())

	return func() result {
		t.Helper()
		err := cmd.Wait()
		if _, ended := errors.AsType[*exec.ExitError](err); !ended {
			require.NoError(t, err)
		}

		r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
		require.NotContains(t, r.stderr, "goroutine ")

		return r
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	interpreters.Root(t, "to become other users")
}

// eventually waits until check returns nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	require.NoError(t, awaited.Within(deadline, check))
}
