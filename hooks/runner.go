package hooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/defaultlog"
)

const (
	// MaxWaiting is how many events of a name wait for their hooks at most. More
	// are dropped.
	MaxWaiting = 1000

	// stopTime is how long hooks whose context was ended are waited for.
	stopTime = 2 * time.Second
	// dropInterval is the least time between two reports of dropped events.
	dropInterval = time.Second
)

// ErrClosed is the error of Runner.Run after Close, and the cause of the end of
// hooks that Close does not wait for any longer.
var ErrClosed = errors.New("the hooks' runner is closed")

// Runner tells hooks of events in goroutines of its own, so that a hook that is
// slow, hangs or panics holds up nothing but what waits for it. Its methods may
// be called concurrently. A nil Runner and the zero one have no hooks.
//
// Events of one process are delivered in order, as are those of one
// application; otherwise up to four events of a kind are delivered at once.
// QueueFullError events of one application that wait are merged into one.
type Runner struct {
	hooks map[Name][]Hook
	log   logr.Logger

	// ctx ends when Close does not wait for hooks any longer.
	ctx     context.Context //nolint:containedctx // that of the goroutines
	cancel  context.CancelCauseFunc
	closing chan struct{}
	// goroutines are added to while closing is open, or by one of them.
	goroutines sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	reporting bool
	lanes     map[Name]*lane
	accounts  map[Name]*account
}

// NewRunner returns a Runner of hooks, each of which receives an event whatever
// becomes of the others. It starts nothing before the first event.
//
// The error names each hook that is nil, or that [On] was to tell of events that
// there are not.
func NewRunner(log logr.Logger, hooks ...Hook) (*Runner, error) {
	var errs []error
	for i, h := range hooks {
		if err := validate(h); err != nil {
			errs = append(errs, fmt.Errorf("hook number %d: %w", i+1, err))
		}
	}

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	r := &Runner{
		hooks:    map[Name][]Hook{},
		log:      defaultlog.Or(log),
		closing:  make(chan struct{}),
		lanes:    map[Name]*lane{},
		accounts: map[Name]*account{},
	}

	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	for _, name := range Names() {
		for _, h := range hooks {
			if has(h, name) {
				r.hooks[name] = append(r.hooks[name], h)
			}
		}
	}

	return r, nil
}

// Has reports whether a hook takes events of that name. It takes no
// lock.
func (r *Runner) Has(name Name) bool { return r != nil && len(r.hooks[name]) > 0 }

// Fire has the hooks told of e soon, and never waits. What goes wrong is logged.
func (r *Runner) Fire(e Event) {
	if !r.Has(e.Name) {
		return
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}

	l := r.lane(e.Name)
	if l.merge(&e) {
		return
	}

	a := r.account(e.Name)
	if a.waiting >= MaxWaiting {
		r.drop(a)
		return
	}

	a.waiting++
	l.add(&e)
	r.dispatch(l)
}

// Run tells the hooks of e and waits for them, but not after ctx has ended: then
// they have to stop by themselves, as scripts do. It returns what went wrong,
// without logging it. It waits for no other events.
func (r *Runner) Run(ctx context.Context, e Event) error {
	if !r.Has(e.Name) {
		return nil
	}

	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}

	ctx, cancel := context.WithCancelCause(ctx)
	a := r.account(e.Name)
	a.running++
	err, done := errGoexit, make(chan struct{})
	// Under the lock, as long as closed is false: Close begins to wait only after that.
	r.goroutines.Go(func() {
		defer cancel(nil)
		defer close(done)
		defer r.ended(a)
		stop := context.AfterFunc(r.ctx, //nolint:contextcheck // either may end
			func() { cancel(context.Cause(r.ctx)) })
		defer stop()
		err = callAll(ctx, r.hooks[e.Name], e)
	})
	r.mu.Unlock()

	select {
	case <-done:
		return err
	case <-ctx.Done():
	}

	// The hook's end cancels ctx too, but done comes first.
	select {
	case <-done:
		return err
	default:
		return fmt.Errorf("the %s hook was not waited for: %w", e.Name, context.Cause(ctx))
	}
}

// Close takes no more events, waits until the hooks have got those that
// wait, and returns nil. When ctx ends first, events that wait are dropped and
// the contexts of running hooks end. The error says so, and names hooks that
// still run a little later; nothing can be done about them.
func (r *Runner) Close(ctx context.Context) error {
	if r == nil || r.hooks == nil {
		return nil
	}

	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
	}

	r.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		r.goroutines.Wait()
		close(idle)
	}()

	select {
	case <-idle:
		r.cancel(ErrClosed)
		return nil
	case <-ctx.Done():
	}

	// Before they end: afterwards there is nothing to name.
	cut := r.cutShort()
	r.cancel(ErrClosed)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()

	select {
	case <-idle:
		if len(cut) == 0 {
			return nil
		}

		return fmt.Errorf("hooks were cut short: %s: %w", strings.Join(cut, ", "), context.Cause(ctx))
	case <-timer.C:
		return fmt.Errorf("hooks do not stop: %s: %w", strings.Join(r.running(), ", "), context.Cause(ctx))
	}
}

// cutShort drops what waits and says of what, and what runs.
func (r *Runner) cutShort() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	for _, l := range r.lanes {
		l.clear()
	}

	var cut []string
	for _, name := range Names() {
		a := r.accounts[name]
		if a == nil || a.waiting+a.running == 0 {
			continue
		}

		cut = append(cut, fmt.Sprintf("%s (%d running, %d waiting)", name, a.running, a.waiting))
		a.waiting = 0
	}

	return cut
}

func (r *Runner) running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()

	var names []string
	for _, name := range Names() {
		if a := r.accounts[name]; a != nil && a.running > 0 {
			names = append(names, string(name))
		}
	}

	return names
}

// lane needs the lock.
func (r *Runner) lane(name Name) *lane {
	name = laneOf(name)
	l := r.lanes[name]
	if l == nil {
		l = newLane()
		r.lanes[name] = l
	}

	return l
}

// dispatch starts what may run now; it needs the lock.
func (r *Runner) dispatch(l *lane) {
	for {
		q, e, ok := l.next()
		if !ok {
			return
		}

		a := r.account(e.Name)
		a.waiting--
		a.running++
		r.goroutines.Go(func() {
			// It stays if the hook calls runtime.Goexit, which runs deferred functions only.
			err := errGoexit
			defer func() {
				if err != nil {
					// Without the lock, since the log may be slow.
					r.log.Error(err, "a hook failed", "hook", string(e.Name), "app", e.GroupName)
				}

				r.ended(a)
				r.mu.Lock()
				defer r.mu.Unlock()
				l.done(q)
				r.dispatch(l)
			}()
			err = callAll(r.ctx, r.hooks[e.Name], e)
		})
	}
}
