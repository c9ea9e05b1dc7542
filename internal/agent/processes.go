package agent

import (
	"cmp"
	"time"

	"github.com/gopassenger/passenger"
)

// Processes say for how long and with what processes are kept.
type Processes struct {
	// PoolIdleTime is the number of seconds after which an idle process beyond the minimum is
	// stopped; zero means never.
	PoolIdleTime int
	// MaxInstances bounds the processes of one application; zero means that only the pool's
	// size does.
	MaxInstances int
	// MaxRequests is the number of requests after which a process is replaced; zero means never.
	MaxRequests int
	// MaxRequestsJitter is how much earlier that is for each process, at random, as a
	// share from 0 to 1.
	MaxRequestsJitter float64
	// MaxUnanswered is the number of requests in a row without a response after which a
	// process is replaced; zero means never.
	MaxUnanswered int
	// MemoryLimit and HardMemoryLimit are in MB; zero means no limit.
	MemoryLimit     int
	HardMemoryLimit int
	// RestartDir has restart.txt; empty means tmp in the application's directory.
	RestartDir string
	// RollingRestarts replaces processes one after the other, and keeps the old
	// ones if a new one does not start.
	RollingRestarts bool
	// Ctls are settings by name; those that begin with hook_ are programs to run.
	Ctls map[string]string
}

// poolIdleTime is negative for never.
func (c *Processes) poolIdleTime() time.Duration {
	return orUnlimited(time.Duration(c.PoolIdleTime) * time.Second)
}

const megabyte = 1 << 20

// limit sets what is the pool's to do.
func (c *Processes) limit(o *passenger.Options) {
	o.MaxProcesses = max(c.MaxInstances, 0)
	o.MaxRequests, o.MaxRequestsJitter = c.MaxRequests, c.MaxRequestsJitter
	o.MaxUnanswered = cmp.Or(c.MaxUnanswered, passenger.Unlimited)
	o.MemoryLimit, o.HardMemoryLimit = int64(c.MemoryLimit)*megabyte, int64(c.HardMemoryLimit)*megabyte
	o.RestartDir, o.BlockingRestarts = c.RestartDir, !c.RollingRestarts
}

// metricsInterval is the time between two measurements of the processes' memory and CPU time.
const metricsInterval = 5 * time.Second

func seconds(d time.Duration) int { return int(d / time.Second) }
