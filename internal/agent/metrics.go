package agent

import (
	"syscall"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/sockdiag"
	"github.com/gopassenger/passenger/metrics"
)

// requestFigures are those of each application's handler.
func (s *Server) requestFigures() (all []metrics.Requests) {
	for _, h := range s.site.handlers() {
		all = append(all, h.Figures())
	}

	return all
}

// backlogs are those that the system tells.
func (s *Server) backlogs() (all []apiserver.Backlog) {
	for _, l := range s.listeners {
		socket, ok := l.deadlineListener.(syscall.Conn)
		if !ok {
			continue
		}

		// A kernel that does not tell is no reason to be without the other figures.
		if waiting, err := sockdiag.Backlog(socket); err == nil {
			all = append(all, apiserver.Backlog{Listener: l.name, Waiting: waiting})
		}
	}

	return all
}

func (a *apps) handlers() []*handler.Handler {
	a.mu.Lock()
	defer a.mu.Unlock()

	handlers := make([]*handler.Handler, 0, len(a.known))
	for _, app := range a.known {
		handlers = append(handlers, app.handler)
	}

	return handlers
}
