package hooks

// Events returns how many events of a name are being delivered, and how many wait to be.
func (r *Runner) Events(name Name) (running, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if a := r.accounts[name]; a != nil {
		return a.running, a.waiting
	}

	return 0, 0
}
