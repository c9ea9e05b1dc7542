package passenger

import (
	"errors"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/procstat"
)

// ProcessMetrics is what the system reports about a process and all that it has started: the sums
// of sizes and CPU times, and the number of processes. A value that could not be read is unknown,
// which is not zero.
type ProcessMetrics = procstat.Process

// watchMetrics reads the metrics of the processes at each interval and enforces the memory limits,
// until the pool ends.
func (p *Pool) watchMetrics(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()

	for {
		select {
		case <-ticker.C:
			p.sampleMetrics()
		case <-p.spawnCtx.Done():
			return
		}
	}
}

func (p *Pool) sampleMetrics() {
	var sampled []*process
	var roots []procstat.Root
	p.mu.Lock()
	for g := range p.allGroups {
		for _, l := range g.lists() {
			for pr := range l.all {
				if !pr.exited {
					sampled = append(sampled, pr)
					roots = append(roots, procstat.Root{PID: pr.info.PID, Mark: pr.info.GUPID})
				}
			}
		}
	}

	// Reading /proc takes time, so it happens without the lock.
	p.mu.Unlock()

	metrics, err := p.sample(roots)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		p.cfg.Logger.Error(err, "cannot read the metrics of processes")
		return
	}

	p.update(func(fx *effects) {
		for _, pr := range sampled {
			if m, ok := metrics[pr.info.PID]; ok && !pr.exited {
				pr.metrics = m
				pr.group.enforceMemoryLimit(fx, pr)
			}
		}
	})
}

// enforceMemoryLimit replaces a process above MemoryLimit after its requests, and kills one above
// HardMemoryLimit.
func (g *group) enforceMemoryLimit(fx *effects, pr *process) {
	used, known := pr.metrics.RealMemory().Get()
	if !known {
		return
	}

	switch {
	case pr.recording:
	case g.opts.HardMemoryLimit > 0 && used > g.opts.HardMemoryLimit:
		in := pr.incidentLocked(IncidentMemory)
		in.Limit = strconv.FormatInt(g.opts.HardMemoryLimit, 10) + " bytes"
		pr.recordAndDetach(fx, in, func(fx *effects, at recorded) {
			fx.log(g.pool, "killing a process that uses too much memory", at.with("app", g.name, "pid", pr.info.PID,
				"bytes", used, "limit", g.opts.HardMemoryLimit)...)
			pr.killLocked()
		})
	case g.opts.MemoryLimit > 0 && used > g.opts.MemoryLimit && pr.state != stateDetached:
		fx.log(g.pool, "replacing a process that uses too much memory", "app", g.name, "pid", pr.info.PID, "bytes",
			used, "limit", g.opts.MemoryLimit)
		g.detachAndReconcile(fx, pr)
	}
}
