package passenger

import (
	"fmt"

	"github.com/gopassenger/passenger/spawner"
)

// brokenPromise is the error of a Config.Spawner that does not do what package spawner says.
func brokenPromise(what string) error {
	return fmt.Errorf("passenger: Config.Spawner is at fault: %s: let it pass spawnertest.Conform", what)
}

// checkProcess finds what would panic or hang later, when the Spawner is no more to be seen.
func checkProcess(p spawner.Process) error {
	if p == nil {
		return brokenPromise("Spawn returned neither a process nor an error")
	}

	info := p.Info()

	switch {
	case info == nil:
		return brokenPromise("the process has no Info")
	case p.Exited() == nil:
		return brokenPromise("the process has no channel Exited")
	case len(info.Sockets) == 0:
		return brokenPromise("the process has no socket")
	}

	for i := range info.Sockets {
		switch s := &info.Sockets[i]; {
		case s.Dial == nil:
			return brokenPromise(fmt.Sprintf("socket %d of the process has no Dial", i))
		case s.Concurrency < 0:
			return brokenPromise(fmt.Sprintf("the concurrency of socket %d of the process is %d", i, s.Concurrency))
		}
	}

	return nil
}
