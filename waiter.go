package passenger

// waiter is a get that waits in its group's queue. Whoever takes it out of the
// queue, under the lock, answers it: a session, an error, or its own caller
// who gives up.
type waiter struct {
	group *group
	place node[waiter]
	// One of the two gets the answer: callback for AsyncGet, result for Get.
	callback func(*Session, error)
	result   chan getResult
	limit    *poolTimer
}

type getResult struct {
	session *Session
	err     error
}

func newWaiter(g *group, callback func(*Session, error)) *waiter {
	w := &waiter{group: g, callback: callback}
	if callback == nil {
		w.result = make(chan getResult, 1)
	}

	return w
}

// answer runs after unlocking.
func (w *waiter) answer(s *Session, err error) {
	if w.callback != nil {
		w.callback(s, err)
		return
	}

	w.result <- getResult{s, err}
}

// withdraw gives up; false: the answer is there or on its way.
func (w *waiter) withdraw() (withdrawn bool) {
	p := w.group.pool
	p.update(func(fx *effects) {
		if withdrawn = w.group.unqueue(w); withdrawn {
			w.group.settle(fx)
		}
	})

	return withdrawn
}
