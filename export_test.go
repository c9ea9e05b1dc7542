package passenger

// SetSampler replaces how the pool reads what processes use.
func SetSampler(p *Pool, sample func(pids []int) (map[int]ProcessMetrics, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sample = sample
}
