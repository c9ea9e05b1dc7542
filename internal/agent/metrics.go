package agent

import (
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
)

// stats count what the applications' handlers have done.
func (s *Server) stats() (stats []apiserver.RequestStats) {
	for _, h := range s.site.handlers() {
		snapshot := h.Inspect()
		stats = append(stats, apiserver.RequestStats{
			App:          snapshot.AppName,
			Begun:        snapshot.RequestsBegun,
			Active:       len(snapshot.Requests),
			CacheFetches: snapshot.Turbocaching.Fetches,
			CacheHits:    snapshot.Turbocaching.Hits,
		})
	}

	return stats
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
