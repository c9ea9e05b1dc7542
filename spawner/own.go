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
	// asked reports whether the process was asked to end, and groupAsked whether its group was, too.
	asked, groupAsked bool
}

func (o *ownProcess) awaitEnd() (status string) {
	zombie := o.wait.untilExit(o.cmd.Process.Pid)
	if !zombie {
		// Without the lock: signals must reach the process while it lives.
		_ = o.cmd.Wait() // how it ended is in ProcessState
	} else {
		o.awaitRest()
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

// awaitRest gives what a process has left in its group the time that the process had, if it ended because it was asked
// to: a shell that runs a program as its child ends before that has. The time is over when the group gets SIGKILL.
func (o *ownProcess) awaitRest() {
	o.mu.Lock()
	asked := o.asked
	if asked && !o.groupAsked {
		_ = syscall.Kill(-o.cmd.Process.Pid, syscall.SIGTERM)
	}

	o.mu.Unlock()

	if asked {
		awaitGroup(o.cmd.Process.Pid)
	}
}

func (o *ownProcess) signal(sig syscall.Signal) { o.kill(-o.cmd.Process.Pid, sig) }

func (o *ownProcess) signalAlone(sig syscall.Signal) { o.kill(o.cmd.Process.Pid, sig) }

func (o *ownProcess) kill(pid int, sig syscall.Signal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.reaped {
		_ = syscall.Kill(pid, sig)
		// SIGURG asks for backtraces.
		if sig != syscall.SIGURG {
			o.asked = true
			o.groupAsked = o.groupAsked || pid < 0
		}
	}
}
