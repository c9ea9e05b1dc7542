package hooks

import (
	"errors"
	"time"
)

// Status is how a hook does.
type Status struct {
	Name Name
	// Running and Waiting are events that are being told, and that wait to be.
	Running, Waiting int
	// Longest is for how long the oldest one that is running has been.
	Longest time.Duration
	// Done, Failed and Dropped count events: that were told, of those the ones
	// that a hook returned an error for, and that were never told.
	Done, Failed, Dropped uint64
}

// account keeps what happens to the events of a name. The Runner's lock guards
// it.
type account struct {
	waiting               int
	running               map[*task]struct{}
	done, failed, dropped uint64
	unreported            uint64
}

type task struct{ since time.Time }

// Status tells of each hook that had an event, in the order of Names.
func (r *Runner) Status() []Status {
	if r == nil {
		return nil
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	var all []Status
	for _, name := range Names() {
		a := r.accounts[name]
		if a == nil {
			continue
		}

		s := Status{
			Name:    name,
			Running: len(a.running),
			Waiting: a.waiting,
			Done:    a.done,
			Failed:  a.failed,
			Dropped: a.dropped,
		}
		for t := range a.running {
			s.Longest = max(s.Longest, time.Since(t.since))
		}

		all = append(all, s)
	}

	return all
}

// account needs the lock.
func (r *Runner) account(name Name) *account {
	a := r.accounts[name]
	if a == nil {
		a = &account{running: map[*task]struct{}{}}
		r.accounts[name] = a
	}

	return a
}

func (a *account) begin() *task {
	t := &task{since: time.Now()}
	a.running[t] = struct{}{}
	return t
}

func (r *Runner) ended(a *account, t *task, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(a.running, t)
	a.done++
	if err != nil {
		a.failed++
	}
}

// drop counts an event that there is no room for; it needs the lock.
func (r *Runner) drop(a *account) {
	a.dropped++
	a.unreported++
	if !r.reporting {
		r.reporting = true
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
