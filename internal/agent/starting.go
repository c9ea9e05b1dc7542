package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What the configuration key on_start_failure may be: what becomes of a server of
// which an application does not start.
const (
	serveOnFailure = "serve"
	exitOnFailure  = "exit"
)

// ExitsOnStartFailure reports whether the server is to end when an application does
// not start, instead of serving error pages until it does.
func (c *Config) ExitsOnStartFailure() bool { return c.OnStartFailure == exitOnFailure }

// starts are the states of the applications' starts, as the core reports them.
type starts struct {
	mu      sync.Mutex
	states  []AppStart
	changed chan struct{} // closed when they do
}

func (s *starts) set(states []AppStart) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = states

	// Without a waiter there is no channel, and the next one to wait makes it.
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// get returns the states, nil if the core has reported none, and what is closed when they
// change.
func (s *starts) get() (states []AppStart, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}

	return s.states, s.changed
}

// noteStarts takes the states that a core reports.
func (i *Instance) noteStarts(pid int, status json.RawMessage) {
	var states []AppStart
	if err := json.Unmarshal(status, &states); err != nil {
		i.log.Error(err, "cannot read the core's message about its applications", "pid", pid)
		return
	}

	i.starts.set(states)
}

// startTimeout is how long the start of the slowest application may take.
func (c *Config) startTimeout() time.Duration {
	seconds := 0
	c.eachKept(func(one *Config) { seconds = max(seconds, one.StartTimeout) })
	return time.Duration(seconds) * time.Second
}

// StartError means that an application does not serve after the start of the server.
type StartError struct{ AppStart }

func (e *StartError) Error() string {
	text := e.Dir + ": does not start: " + e.Reason
	if e.ErrorID != "" {
		text += " (error " + e.ErrorID + ")"
	}

	if e.Advice != "" {
		text += "\n  " + e.Advice
	}

	return text
}

// AwaitApps waits until each application that is to have processes at all times has
// a process, or its start has failed once. show gets each that is there, or has
// failed, when that is known. The error has a StartError for each that has failed, or
// is ctx's. Where all is well, what the hook after the initialization does is done as
// well.
func (i *Instance) AwaitApps(ctx context.Context, show func(AppStart)) error {
	bound := time.NewTimer(i.cfg.startTimeout() + lateStart)
	defer bound.Stop()

	shown := map[int]bool{}
	for {
		states, changed := i.starts.get()
		var failed []error

		// The core has not reported anything yet.
		open := states == nil
		for n, state := range states {
			switch state.State {
			case Starting:
				open = true
				continue
			case StartFailed:
				failed = append(failed, &StartError{state})
			case Started:
			}

			// States come again with each change.
			if !shown[n] {
				shown[n] = true
				show(state)
			}
		}

		if !open {
			if len(failed) > 0 {
				return errors.Join(failed...)
			}

			// The hook after the initialization comes later than the states, and the command returns after both.
			select {
			case <-i.initialized:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}

		select {
		case <-changed:
		case <-bound.C:
			return lateApps(states, i.cfg.startTimeout())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lateStart is how much later than an application's time-out its start may end.
const lateStart = 10 * time.Second

func lateApps(states []AppStart, timeout time.Duration) error {
	var late []error
	for _, state := range states {
		if state.State == Starting {
			state.Reason = fmt.Sprintf("it has not started within %s, and may be waiting for room in the pool: "+
				"raise max_pool_size or start_timeout", timeout)
		}

		if state.State != Started {
			late = append(late, &StartError{state})
		}
	}

	return errors.Join(late...)
}

// extendInterval is the time between two requests to systemd for more time, and extension
// what each asks for.
const (
	extendInterval = 5 * time.Second
	extension      = 20 * time.Second
)

// announce tells the hooks and systemd that the server is ready, once all
// applications have started, or the time that their starts may take is over.
func (i *Instance) announce(ctx context.Context) {
	bound := time.NewTimer(i.cfg.startTimeout())
	defer bound.Stop()
	// By default, systemd ends a unit whose start takes more than 90 seconds.
	extend := time.NewTicker(extendInterval)
	defer extend.Stop()

	status := ""
	for waits := true; waits; {
		states, changed := i.starts.get()

		waits = states == nil
		for _, state := range states {
			waits = waits || state.State != Started
		}

		if !waits {
			break
		}

		select {
		case <-changed:
		case <-extend.C:
			i.notifyExtension()
		case <-bound.C:
			// An application that does not start must not keep the others from being announced.
			waits = false
			if err := lateApps(states, i.cfg.startTimeout()); err != nil {
				status = "STATUS=" + firstLine(err.Error()) + "\n"
			}
		case <-ctx.Done():
			return
		}
	}

	if err := i.dog.Initialized(ctx); err != nil {
		// An end of the server meanwhile is no failure of the hook.
		if ctx.Err() == nil {
			i.end(err)
		}

		return
	}

	i.notify(status + daemon.SdNotifyReady)
	close(i.initialized)
}
