package agent

import (
	"cmp"
	"errors"
	"time"

	"github.com/gopassenger/passenger/internal/companion"
	"github.com/gopassenger/passenger/procstat"
)

// limitMemory replaces each companion that has more memory, with all that it has started, than it may.
func (c *companions) limitMemory() {
	ticker := time.NewTicker(metricsInterval)
	defer ticker.Stop()

	var sampler procstat.Sampler
	for {
		select {
		case <-ticker.C:
		case <-c.ending.Done():
			return
		}

		limits := map[int]int64{}
		var roots []procstat.Root

		c.set.EachRunning(func(pid int, spec *companion.Spec) {
			if limit := c.memoryLimit(spec); limit > 0 {
				limits[pid] = limit
				roots = append(roots, procstat.Root{PID: pid})
			}
		})
		if len(roots) == 0 {
			continue
		}

		processes, err := sampler.SampleTrees(roots)
		if err != nil {
			// Other systems have no such figures.
			if !errors.Is(err, errors.ErrUnsupported) {
				c.log.Error(err, "cannot read the memory of companions, whose limit has no effect")
			}

			continue
		}

		for pid, p := range processes {
			if used := p.RealMemory().Or(0); used > limits[pid] {
				c.log.Info("a companion uses too much memory, and is asked to end", "pid", pid, "used", used, "limit",
					limits[pid])
				c.set.Recycle(pid)
			}
		}
	}
}

// memoryLimit is in bytes; zero means no limit.
func (c *companions) memoryLimit(spec *companion.Spec) int64 {
	limit := spec.MemoryLimit
	if limit < 0 {
		limit = cmp.Or(c.cfg.MemoryLimit, c.cfg.HardMemoryLimit)
	}

	return int64(limit) * megabyte
}
