package agent

import (
	"context"
	"slices"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
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
	s.cfg.each(func(c *Config) {
		if c.MinInstances == 0 {
			return
		}
		app := c.options().App
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
	attached := slices.ContainsFunc(g.Processes, func(pr passenger.ProcessSnapshot) bool { return pr.State != "detached" })
	hadProcess := g.UID >= 0
	switch {
	case attached || hadProcess && g.LastSpawnError == nil:
		return nil
	case g.LastSpawnError != nil:
		return &apiserver.UnreadyApp{Reason: g.LastSpawnError.Summary, ErrorID: g.LastSpawnError.ID}
	}
	return &apiserver.UnreadyApp{Reason: "its first process is being started"}
}

// startProcesses does not wait: until the first process is there, requests do.
func (s *Server) startProcesses() {
	if s.cfg.Flying != nil {
		return
	}
	s.cfg.each(func(c *Config) {
		if c.MinInstances == 0 {
			return
		}
		options := c.options()
		s.starts.Go(func() {
			// The spawner logs what goes wrong, and the pool tries again. The pool's
			// end is this one's, too.
			_ = s.pool.Start(context.Background(), &options)
		})
	})
}
