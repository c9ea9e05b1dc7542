package hooks

import (
	"errors"
	"time"
)

// account counts the events of a name. The Runner's lock guards it.
type account struct {
	// waiting and running are events that are not delivered yet.
	waiting, running int
	// unreported is the number of events that were dropped since the log said so.
	unreported uint64
}

// account needs the lock.
func (r *Runner) account(name Name) *account {
	a := r.accounts[name]
	if a == nil {
		a = &account{}
		r.accounts[name] = a
	}

	return a
}

func (r *Runner) ended(a *account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.running--
}

// drop counts an event that there is no room for; it needs the lock.
func (r *Runner) drop(a *account) {
	a.unreported++
	if !r.reporting {
		r.reporting = true
		// One goroutine for all hooks, and none while nothing is dropped.
		r.goroutines.Go(r.report)
	}
}

var errDropped = errors.New("too many events wait for it")

// report logs what was dropped, and again while more is, once per dropInterval.
func (r *Runner) report() {
	for {
		dropped := r.unreported()
		if len(dropped) == 0 {
			return
		}

		for _, name := range Names() {
			if n := dropped[name]; n > 0 {
				r.log.Error(errDropped, "a hook is too slow, its events are dropped", "hook", string(name), "dropped",
					n)
			}
		}

		timer := time.NewTimer(dropInterval)
		select {
		case <-timer.C:
		// The rest is reported at once: Close waits for this goroutine.
		case <-r.closing:
			timer.Stop()
		}
	}
}

func (r *Runner) unreported() map[Name]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()

	dropped := map[Name]uint64{}
	for name, a := range r.accounts {
		if a.unreported > 0 {
			dropped[name], a.unreported = a.unreported, 0
		}
	}

	r.reporting = len(dropped) > 0

	return dropped
}
