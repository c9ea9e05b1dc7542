package passenger

import "time"

// poolTimer changes the pool once, later, unless it is stopped before. Pool.mu
// guards it. Close waits for those that are neither stopped nor over.
type poolTimer struct {
	timer *time.Timer
	over  bool
}

// startTimer runs change after d, under the lock.
func (p *Pool) startTimer(d time.Duration, change func(*effects)) *poolTimer {
	t := &poolTimer{}
	p.wg.Add(1)
	t.timer = time.AfterFunc(max(d, 0), func() {
		defer p.wg.Done()
		p.update(func(fx *effects) {
			if !t.over {
				t.over = true
				change(fx)
			}
		})
	})

	return t
}

// stopTimer makes sure that t changes nothing any more; nil is no timer.
func (p *Pool) stopTimer(t *poolTimer) {
	if t == nil || t.over {
		return
	}

	t.over = true
	if t.timer.Stop() {
		p.wg.Done()
	}
}

func (t *poolTimer) running() bool { return t != nil && !t.over }
