package agent

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gopassenger/passenger"
)

// Processes say for how long and with what processes are kept.
type Processes struct {
	// PoolIdleTime is after how many seconds an idle process is stopped that is
	// not one of the minimum; 0: never.
	PoolIdleTime int `koanf:"pool_idle_time"`
	// MaxInstances bounds the processes of one application; 0: only the pool's size
	// does.
	MaxInstances int `koanf:"max_instances"`
	// MaxRequests is after how many requests a process is replaced; 0: never.
	MaxRequests int `koanf:"max_requests"`
	// MaxRequestsJitter is how much earlier that is for each process, at random, as a
	// share from 0 to 1.
	MaxRequestsJitter float64 `koanf:"max_requests_jitter"`
	// MaxUnanswered is after how many requests in a row that it does not answer a
	// process is replaced; 0: never.
	MaxUnanswered int `koanf:"max_unanswered_requests"`
	// MemoryLimit and HardMemoryLimit are in MB; 0: none.
	MemoryLimit     int `koanf:"memory_limit"`
	HardMemoryLimit int `koanf:"hard_memory_limit"`
	// RestartDir is where restart.txt is looked for; empty: tmp in the
	// application's directory.
	RestartDir string `koanf:"restart_dir"`
	// RollingRestarts replaces processes one after the other, and keeps the old
	// ones if a new one does not start.
	RollingRestarts bool `koanf:"rolling_restarts"`
	// Ctls are settings by name; those that begin with hook_ are programs to run.
	Ctls map[string]string `koanf:"ctls"`
}

func (c *Processes) validate() (errs []error) {
	for _, number := range []struct {
		key   string
		value int
	}{
		{"pool_idle_time", c.PoolIdleTime},
		{"max_instances", c.MaxInstances},
		{"max_requests", c.MaxRequests},
		{"max_unanswered_requests", c.MaxUnanswered},
		{"memory_limit", c.MemoryLimit},
		{"hard_memory_limit", c.HardMemoryLimit},
	} {
		if number.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %d: it must be 0 (no limit) or more", number.key, number.value))
		}
	}

	if j := c.MaxRequestsJitter; !(j >= 0 && j <= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("max_requests_jitter is %v: it must be a share from 0 to 1, such as 0.2", j))
	}

	return errs
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

// metricsInterval is how often the processes' memory and CPU time are looked at.
const metricsInterval = 5 * time.Second
