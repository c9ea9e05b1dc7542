package watchdog

// PID returns the process ID of the agent of that name, 0 if it does not run.
func (w *Watchdog) PID(name string) int {
	a, err := w.agent(name)
	if err != nil {
		return 0
	}

	if p := a.serving(); p != nil {
		return p.pid()
	}

	return 0
}
