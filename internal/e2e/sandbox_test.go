package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/marked"
)

const (
	deadline  = 60 * time.Second
	patience  = 5 * time.Second // of the leak gate
	interval  = 20 * time.Millisecond
	markerVar = "E2E_MARKER"
)

// sandbox is what one run of the binary may use: nothing of it may be left
// when the binary has ended.
type sandbox struct {
	marker string
	// dir holds tmp, the TMPDIR, and home, the HOME.
	dir, tmp, home string
}

var sandboxes atomic.Int64

func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	number := strconv.FormatInt(sandboxes.Add(1), 10)
	dir := filepath.Join(built, number)
	s := &sandbox{
		marker: markerVar + "=" + strconv.Itoa(os.Getpid()) + "." + number,
		dir:    dir, tmp: filepath.Join(dir, "t"), home: filepath.Join(dir, "home"),
	}
	for _, d := range []string{s.tmp, s.home} {
		require.NoError(t, os.MkdirAll(d, 0o700))
	}
	t.Cleanup(func() {
		for pid := range s.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// launch says how to start the binary.
type launch struct {
	// dir is the application's directory.
	dir  string
	args []string
	env  []string
	// cwd is the working directory; empty: the sandbox's.
	cwd string
	// change is what else is done to the command; nil: nothing.
	change func(cmd *exec.Cmd)
}

// command returns passenger start.
func (s *sandbox) command(ctx context.Context, l *launch) *exec.Cmd {
	args := []string{"start", "--envvar", s.marker}
	if l.dir != "" {
		args = append(args, l.dir)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(built, "passenger"), append(args, l.args...)...)
	cmd.Dir = l.cwd
	if cmd.Dir == "" {
		cmd.Dir = s.dir
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + s.home, "TMPDIR=" + s.tmp, "PASSENGER_INSTANCE_REGISTRY_DIR=" + s.tmp, s.marker}
	cmd.Env = append(cmd.Env, l.env...)
	cmd.WaitDelay = patience
	if l.change != nil {
		l.change(cmd)
	}
	return cmd
}

// requireClean checks, with some patience, that nothing is left.
func (s *sandbox) requireClean(t testing.TB) {
	t.Helper()
	eventually(t, func() error {
		for pid, name := range s.processes() {
			return fmt.Errorf("process %d is left behind: %s", pid, name)
		}
		entries, err := os.ReadDir(s.tmp)
		if len(entries) > 0 {
			return fmt.Errorf("left behind in TMPDIR: %v", entries)
		}
		return err
	})
}

// processes are those of the sandbox, with their command lines.
func (s *sandbox) processes() map[int]string { return marked.Processes(s.marker) }

// eventually waits until check returns nil.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	eventuallyWithin(t, patience, check)
}

func eventuallyWithin(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			require.NoError(t, err)
		}
	}
}
