package agent

import (
	"context"
	"net"
	"net/http"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/handler"
)

// serveMetrics serves what everybody may know on l until ctx ends.
func (c *core) serveMetrics(ctx context.Context, l net.Listener) {
	mux := http.NewServeMux()
	mux.Handle("/metrics", apiserver.Metrics(c.server.pool, c.server.stats))
	mux.Handle("/", apiserver.Health(c.server.ready))
	if err := apiserver.Serve(ctx, l, mux, c.log); err != nil {
		c.log.Error(err, "The figures cannot be served any more")
	}
}

// stats count what the applications' handlers have done.
func (s *Server) stats() (stats []apiserver.RequestStats) {
	for _, h := range s.site.handlers() {
		snapshot := h.Inspect()
		stats = append(stats, apiserver.RequestStats{
			App: snapshot.AppName, Begun: snapshot.RequestsBegun, Active: len(snapshot.Requests),
			CacheFetches: snapshot.Turbocaching.Fetches, CacheHits: snapshot.Turbocaching.Hits,
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
