package watchdog

import (
	"os/exec"
	"sync"
)

// children are the processes that the watchdog has started and waits for. All
// others of its process are what an agent has left behind.
type children struct {
	mu   sync.Mutex
	pids map[int]bool
}

// start starts a command. A child is listed before any other method sees it.
func (c *children) start(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}

	if c.pids == nil {
		c.pids = map[int]bool{}
	}

	c.pids[cmd.Process.Pid] = true

	return nil
}

// wait is cmd's Wait.
func (c *children) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pids, cmd.Process.Pid)

	return err
}

// others returns those of the present children of this process that are not
// listed.
func (c *children) others() []int {
	c.mu.Lock()
	defer c.mu.Unlock()

	var others []int
	for _, pid := range childPIDs() {
		if !c.pids[pid] {
			others = append(others, pid)
		}
	}

	return others
}
