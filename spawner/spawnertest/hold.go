package spawnertest

import (
	"context"
	"slices"
)

// Hold keeps spawns waiting until the test releases them. It is safe for concurrent use.
type Hold struct {
	factory *Factory
	app     string
	// begun tells of spawns that wait; Factory.mu guards waiting and its entries.
	begun   chan struct{}
	waiting []*heldSpawn
}

// heldSpawn is a waiting spawn; released receives its error, or nil.
type heldSpawn struct {
	hold     *Hold
	released chan error
}

// Hold keeps spawns waiting that begin from now on, of the application of this group name, or of
// all applications if the name is empty. A spawn whose context ends fails as usual.
func (f *Factory) Hold(app string) *Hold {
	h := &Hold{factory: f, app: app, begun: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = append(f.holds, h)

	return h
}

// Wait waits until n spawns wait. It returns the error of ctx if that ends first.
func (h *Hold) Wait(ctx context.Context, n int) error {
	for h.Waiting() < n {
		select {
		case <-h.begun:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

// Waiting returns the number of spawns that wait.
func (h *Hold) Waiting() int {
	h.factory.mu.Lock()
	defer h.factory.mu.Unlock()

	return len(h.waiting)
}

// ReleaseOne lets the spawn that has waited for longest continue, or fail with err if that is not
// nil. It reports whether a spawn waited.
func (h *Hold) ReleaseOne(err error) bool {
	h.factory.mu.Lock()
	defer h.factory.mu.Unlock()
	if len(h.waiting) == 0 {
		return false
	}

	h.waiting[0].released <- err
	h.waiting = h.waiting[1:]

	return true
}

// Release ends the hold. All spawns that wait continue, or fail with err if that is not nil.
func (h *Hold) Release(err error) {
	f := h.factory
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds = slices.DeleteFunc(f.holds, func(other *Hold) bool { return other == h })

	for _, s := range h.waiting {
		s.released <- err
	}

	h.waiting = nil
}

// hold makes a spawn that begins wait if there is a hold for it, of which the last one counts. It
// returns nil if there is none. It needs the lock.
func (f *Factory) hold(app string) *heldSpawn {
	for _, h := range slices.Backward(f.holds) {
		if h.app != "" && h.app != app {
			continue
		}

		s := &heldSpawn{hold: h, released: make(chan error, 1)}

		h.waiting = append(h.waiting, s)
		select {
		case h.begun <- struct{}{}:
		default:
		}

		return s
	}

	return nil
}

// wait returns the error with which the spawn was released, or why ctx ended.
func (s *heldSpawn) wait(ctx context.Context) error {
	if s == nil {
		return nil
	}

	select {
	case err := <-s.released:
		return err
	case <-ctx.Done():
		s.leave()
		return canceled(ctx)
	}
}

func (s *heldSpawn) leave() {
	h := s.hold
	h.factory.mu.Lock()
	defer h.factory.mu.Unlock()
	h.waiting = slices.DeleteFunc(h.waiting, func(other *heldSpawn) bool { return other == s })
}
