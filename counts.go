package passenger

import (
	"errors"
	"time"

	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/spawner"
)

// Histogram says how long things took. Its zero value is that of none. Quantile returns the duration that a share does
// not exceed, as 0.95 for the 95th percentile, right to within 5 %.
type Histogram = histogram.Snapshot

// Counts are what has happened to an application since it came to the pool.
type Counts struct {
	// Spawns counts the attempts to start a process that have ended, SpawnFailures those that gave none.
	Spawns        uint64 `json:"spawns"`
	SpawnFailures uint64 `json:"spawnFailures"`
	// HealthChecks counts the starts whose health path or warm-up was asked for, HealthFailures those that failed by
	// it.
	HealthChecks   uint64 `json:"healthChecks"`
	HealthFailures uint64 `json:"healthFailures"`
	// Crashes counts the processes that ended by themselves, with a status other than zero; Exits has all that ended
	// by themselves.
	Crashes uint64 `json:"crashes"`
	Exits   uint64 `json:"exits"`
	// Restarts counts the restarts that have ended: RestartFailures those that failed, RestartsReplaced those that gave
	// way to another restart.
	Restarts         uint64 `json:"restarts"`
	RestartFailures  uint64 `json:"restartFailures"`
	RestartsReplaced uint64 `json:"restartsReplaced"`
	// Limits counts the limits that fired.
	Limits LimitCounts `json:"limits"`
}

// LimitCounts says how often each limit of Options fired: how many requests or processes met it.
type LimitCounts struct {
	RequestTime uint64 `json:"requestTime"`
	QueueTime   uint64 `json:"queueTime"`
	QueueLength uint64 `json:"queueLength"`
	Memory      uint64 `json:"memory"`
	HardMemory  uint64 `json:"hardMemory"`
	// Requests is for processes that were replaced after Options.MaxRequests.
	Requests uint64 `json:"requests"`
	// Unresponsive is for processes that refused connections or exceeded Options.MaxUnanswered.
	Unresponsive uint64 `json:"unresponsive"`
	// DrainTime is for processes that were stopped with requests left.
	DrainTime uint64 `json:"drainTime"`
}

// counts are those of a group, guarded by Pool.mu.
type counts struct {
	Counts
	// spawns is nil before the first spawn.
	spawns *histogram.Histogram
}

// spawned counts the result of an attempt to start a process.
func (c *counts) spawned(app *spawner.App, took time.Duration, err error) {
	if c.spawns == nil {
		c.spawns = histogram.New(histogram.ForStarts)
	}

	c.Spawns++
	c.spawns.Observe(took)

	unhealthy := false
	if err != nil {
		c.SpawnFailures++

		var failure *spawner.SpawnError
		unhealthy = errors.As(err, &failure) && failure.Category == spawner.CategoryHealth
	}

	switch {
	case unhealthy:
		c.HealthChecks++
		c.HealthFailures++
	// A start that failed for another reason had not come to its check.
	case err == nil && (app.HealthPath != "" || len(app.WarmupPaths) > 0):
		c.HealthChecks++
	}
}

// restarted counts the result of a restart.
func (c *counts) restarted(err error) {
	c.Restarts++
	switch {
	case errors.Is(err, errRestartReplaced):
		c.RestartsReplaced++
	case err != nil:
		c.RestartFailures++
	}
}
