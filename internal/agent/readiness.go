package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/spawner"
)

var errDraining = &apiserver.NotReadyError{Reason: "the server is about to end"}

// ready returns why no requests should be sent: the server is about to end, or
// an application that is to have processes at all times does not serve. Flying's
// applications do not count: one tenant's must not take the server from all.
func (s *Server) ready() error {
	if s.draining.Load() {
		return errDraining
	}

	if s.cfg.Flying != nil {
		return nil
	}

	var unready []apiserver.UnreadyApp
	groups := s.pool.Inspect().Groups
	s.cfg.eachKept(func(c *Config) {
		app := c.options().App

		// A detached group may have the same name: it is one that ends while the next one begins.
		i := slices.IndexFunc(groups, func(g passenger.GroupSnapshot) bool {
			return !g.Detached && g.Name == app.Name() && g.AppRoot == app.Root
		})
		why := &apiserver.UnreadyApp{Reason: "it has not been started"}
		if i >= 0 {
			why = unreadiness(&groups[i])
		}

		if why != nil {
			why.Name, why.Root = app.Name(), app.Root
			unready = append(unready, *why)
		}
	})
	if len(unready) == 0 {
		return nil
	}

	return &apiserver.NotReadyError{Reason: "applications do not serve", Applications: unready}
}

// unreadiness returns why an application does not serve, or nil if it does: a
// process is attached, or it had one and the next is not known to fail.
func unreadiness(g *passenger.GroupSnapshot) *apiserver.UnreadyApp {
	// A crash alone does not make the server unready, as the pool starts another process at once.
	hadProcess := g.UID >= 0
	switch {
	case attached(g) > 0 || hadProcess && g.LastSpawnError == nil:
		return nil
	case g.LastSpawnError != nil:
		return &apiserver.UnreadyApp{Reason: g.LastSpawnError.Summary, ErrorID: g.LastSpawnError.ID}
	}

	return &apiserver.UnreadyApp{Reason: "its first process is being started"}
}

// eachKept calls f for the configuration of each application that is to have
// processes at all times.
func (c *Config) eachKept(f func(*Config)) {
	if c.Flying != nil {
		return
	}

	c.each(func(one *Config) {
		if one.MinInstances > 0 {
			f(one)
		}
	})
}

// AppStart is how far the start of an application has come.
type AppStart struct {
	// Dir is the application's directory.
	Dir   string
	State StartState
	// Took is how long the first process took until it served.
	Took time.Duration
	// Reason is why the last attempt failed, one sentence, Advice what to do, and
	// ErrorID what stands in the log as well; the latter two may be empty.
	Reason, Advice, ErrorID string
}

// StartState is the state of an AppStart.
type StartState string

// The states.
const (
	// Starting means that the first attempt is in progress.
	Starting StartState = "starting"
	// Started means that a process has served.
	Started StartState = "started"
	// StartFailed means that an attempt failed, and the next one has not ended.
	StartFailed StartState = "failed"
)

// startProcesses starts the first process of each application that is to have some.
// It does not wait: until the process is there, requests do. report gets all states
// whenever one changes, one call at a time.
func (s *Server) startProcesses(report func([]AppStart)) {
	var configs []*Config
	s.cfg.eachKept(func(c *Config) { configs = append(configs, c) })

	states := make([]AppStart, 0, len(configs))
	for _, c := range configs {
		states = append(states, AppStart{Dir: c.Dir, State: Starting})
	}

	// A server without such applications is ready by this.
	report(slices.Clone(states))

	var mu sync.Mutex
	for i, c := range configs {
		s.starts.Go(func() {
			s.startFirst(c, func(state AppStart) {
				// The lock is held for the report, so that a later state is not overtaken by an earlier one.
				mu.Lock()
				defer mu.Unlock()
				state.Dir = c.Dir
				states[i] = state
				report(slices.Clone(states))
			})
		})
	}
}

// startFirst follows the pool's attempts until a process is there. The spawner logs
// why one fails.
func (s *Server) startFirst(c *Config, report func(AppStart)) {
	options := c.options()

	began := time.Now()
	for {
		// The end of the pool is the end of this.
		err := s.pool.StartN(context.Background(), &options, 1)
		if err == nil {
			report(AppStart{State: Started, Took: time.Since(began)})
			return
		}

		// The server ends, or the application was removed.
		if errors.Is(err, passenger.ErrClosed) || errors.Is(err, passenger.ErrAppDetached) {
			return
		}

		state := AppStart{State: StartFailed, Reason: err.Error()}
		e, ok := errors.AsType[*spawner.SpawnError](err)
		if ok {
			state.Reason, state.Advice, state.ErrorID = e.Summary, e.Advice, e.ID
		}

		report(state)
		if !ok {
			// The options are wrong: another attempt would end at once, in the same way.
			return
		}
	}
}
