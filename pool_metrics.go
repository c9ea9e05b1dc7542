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
			p.readMetrics(0)
		case <-p.spawnCtx.Done():
			return
		}
	}
}

// readingInterval is the least time between two readings that ReadMetrics causes.
const readingInterval = time.Second

// ReadMetrics reads the metrics of the processes if those of one are not known yet, as after its start, or without
// Config.MetricsInterval; at most once a second.
func (p *Pool) ReadMetrics() {
	if p.lacksMetrics() {
		p.readMetrics(readingInterval)
	}
}

func (p *Pool) lacksMetrics() bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	for g := range p.allGroups {
		for _, l := range g.lists() {
			for pr := range l.all {
				if !pr.exited && (!pr.metrics.CPU.Known() || !pr.metrics.RealMemory().Known()) {
					return true
				}
			}
		}
	}

	return false
}

// readMetrics reads the metrics of the processes, unless they were read within atLeast.
func (p *Pool) readMetrics(atLeast time.Duration) {
	p.reading.mu.Lock()
	defer p.reading.mu.Unlock()

	if !p.reading.last.IsZero() && time.Since(p.reading.last) < atLeast {
		return
	}

	defer func() { p.reading.last = time.Now() }()

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
			// The number of a process that has ended meanwhile may be another's.
			if m, ok := metrics[pr.info.PID]; ok && !pr.exited {
				pr.metrics = withFirstCPU(m, time.Since(pr.info.SpawnStarted))
				pr.group.enforceMemoryLimit(fx, pr)
			}
		}
	})
}

// withFirstCPU sets the CPU percentage of a process that was not read before: that of its life.
func withFirstCPU(m ProcessMetrics, age time.Duration) ProcessMetrics {
	if used, ok := m.CPUTime.Get(); ok && !m.CPU.Known() && age > 0 {
		m.CPU = procstat.Known(100 * float64(used) / float64(age))
	}

	return m
}

// enforceMemoryLimit replaces a process above MemoryLimit after its requests, unless that would leave
// none that serves, and kills one above HardMemoryLimit.
func (g *group) enforceMemoryLimit(fx *effects, pr *process) {
	used, known := pr.metrics.RealMemory().Get()
	if !known {
		return
	}

	switch {
	case pr.recording:
	case g.opts.HardMemoryLimit > 0 && used > g.opts.HardMemoryLimit:
		if !pr.stopping {
			g.counts.Limits.HardMemory++
		}

		in := pr.incidentLocked(IncidentHardMemory)
		in.Limit = strconv.FormatInt(g.opts.HardMemoryLimit, 10) + " bytes"
		pr.recordAndDetach(fx, in, func(fx *effects, at recorded) {
			fx.log(g.pool, "killing a process that uses too much memory", at.with("app", g.name, "pid", pr.info.PID,
				"bytes", used, "limit", g.opts.HardMemoryLimit)...)
			pr.killLocked()
		})
	case g.opts.MemoryLimit > 0 && used > g.opts.MemoryLimit && pr.state != stateDetached &&
		!pr.isIrreplaceable():
		g.counts.Limits.Memory++
		in := pr.incidentLocked(IncidentMemory)
		in.Limit = strconv.FormatInt(g.opts.MemoryLimit, 10) + " bytes"
		pr.recordAndDetach(fx, in, func(fx *effects, at recorded) {
			fx.log(g.pool, "replacing a process that uses too much memory", at.with("app", g.name, "pid", pr.info.PID,
				"bytes", used, "limit", g.opts.MemoryLimit)...)
		})
	}
}
