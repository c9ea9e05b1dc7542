package spawner

import (
	"os/exec"
	"sync"
	"syscall"
)

// ownProcess is a process that was started here and leads a process group.
type ownProcess struct {
	cmd  *exec.Cmd
	wait *exitWaiter

	// mu makes sure that nothing is signalled after it was reaped, when its
	// number may belong to another process.
	mu     sync.Mutex
	reaped bool
}

func (o *ownProcess) awaitEnd() (status string) {
	zombie := o.wait.untilExit(o.cmd.Process.Pid)
	if !zombie {
		// Without the lock: signals must reach the process while it lives.
		_ = o.cmd.Wait() // how it ended is in ProcessState
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	if zombie {
		// Its pid cannot be anybody else's before it was reaped.
		_ = syscall.Kill(-o.cmd.Process.Pid, syscall.SIGKILL)
		_ = o.cmd.Wait()
	}

	o.reaped = true

	return o.cmd.ProcessState.String()
}

func (o *ownProcess) signal(sig syscall.Signal) { o.kill(-o.cmd.Process.Pid, sig) }

func (o *ownProcess) signalAlone(sig syscall.Signal) { o.kill(o.cmd.Process.Pid, sig) }

func (o *ownProcess) kill(pid int, sig syscall.Signal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.reaped {
		_ = syscall.Kill(pid, sig)
	}
}
