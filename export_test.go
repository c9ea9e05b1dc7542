package passenger

import "github.com/gopassenger/passenger/procstat"

// SetSampler replaces how the pool reads what processes use.
func SetSampler(p *Pool, sample func(roots []procstat.Root) (map[int]ProcessMetrics, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sample = sample
}
