package hooks

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/inherit"
	"github.com/gopassenger/passenger/internal/redact"
)

// drainTime is how long output that is still on its way when a script has ended
// is waited for: something else may hold the pipe.
const drainTime = time.Second

// script is a running program, the leader of a session of its own.
type script struct {
	cmd    *exec.Cmd
	pid    int
	log    logr.Logger
	output *output
	ctx    context.Context //nolint:containedctx // that of the run

	// mu makes sure that nothing is killed after it was reaped, when its number
	// may belong to another process.
	mu     sync.Mutex
	ended  bool
	killed error
}

// startScript starts the program at path and kills it when ctx ends.
func startScript(ctx context.Context, path string, env []string, log logr.Logger) (*script, error) {
	s := &script{ctx: ctx, output: &output{secrets: redact.New(env)}}
	s.cmd = exec.CommandContext(ctx, path)
	s.cmd.Env = env
	s.cmd.Stdout = s.output.stream("stdout")
	s.cmd.Stderr = s.output.stream("stderr")
	s.cmd.Cancel = s.kill
	s.cmd.WaitDelay = drainTime
	// No terminal, and a process group that can be ended as a whole.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	// What it prints waits until it can be logged with the pid.
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	if err := inherit.Start(s.cmd); err != nil {
		return nil, err
	}

	s.pid = s.cmd.Process.Pid
	s.log = log.WithValues("pid", s.pid)
	s.output.log = s.log

	return s, nil
}

// wait waits for the end, ends what is left of the process group, and returns
// when the output was logged or drainTime is over.
func (s *script) wait() *os.ProcessState {
	if untilExit(s.pid) {
		s.mu.Lock()

		// Its pid is not reused before it is reaped.
		_ = syscall.Kill(-s.pid, syscall.SIGKILL)
		s.ended = true
		s.mu.Unlock()
	}

	_ = s.cmd.Wait() // how it ended is in ProcessState
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.output.end()

	return s.cmd.ProcessState
}

// kill kills the process group, unless the script has ended.
func (s *script) kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		// For this error, Wait reports how the process ended, and not why it was to be killed.
		return os.ErrProcessDone
	}

	s.killed = context.Cause(s.ctx)

	return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
}

// killedBecause returns why we killed the script, or nil.
func (s *script) killedBecause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.killed
}
