package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/boxed"
)

const (
	deadline = boxed.Deadline
	patience = boxed.Patience
	interval = 20 * time.Millisecond
)

// sandbox is what one run of the binary may use: nothing of it may be left
// when the binary has ended.
type sandbox struct{ *boxed.Box }

func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	return &sandbox{boxed.New(t, built)}
}

// launch says how to start the binary.
type launch struct {
	// dir is the application's directory.
	dir  string
	args []string
	env  []string
	// cwd is the working directory; empty means the sandbox's.
	cwd string
	// change is what else is done to the command; nil means nothing.
	change func(cmd *exec.Cmd)
}

// command returns passenger start. The server takes a free port of the loopback interface
// unless the options say otherwise, also where it is expected to refuse: the port that it
// takes by itself may be in use.
func (s *sandbox) command(ctx context.Context, l *launch) *exec.Cmd {
	args := []string{"start", "--envvar", s.Marker}
	if !strings.Contains(strings.Join(l.args, " "), "--socket") && !strings.Contains(strings.Join(l.env, " "),
		"PASSENGER_SOCKET") {
		args = append(args, "--address", "127.0.0.1", "--port", "0")
	}

	if l.dir != "" {
		args = append(args, l.dir)
	}

	cmd := exec.CommandContext(ctx, filepath.Join(built, "passenger"), append(args, l.args...)...)
	cmd.Dir = l.cwd
	if cmd.Dir == "" {
		cmd.Dir = s.Dir
	}

	cmd.Env = append(s.Env(), l.env...)
	cmd.WaitDelay = patience
	if l.change != nil {
		l.change(cmd)
	}

	return cmd
}

// eventually waits until check returns nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	eventuallyWithin(t, patience, check)
}

func eventuallyWithin(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	require.NoError(t, awaited.Within(patience, check))
}

// publicDir is an application's directory that every user can read.
func (s *sandbox) publicDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(s.Dir, "app")
	require.NoError(t, os.Mkdir(dir, 0o755))

	return dir
}
