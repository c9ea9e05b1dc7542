package agent

import (
	"fmt"
	"net/http"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
)

// site serves the requests of one application, or of many.
type site interface {
	http.Handler
	// Drain ends what would last, now and from now on.
	Drain()
	// requests are what the admin API shows of those in progress.
	requests() any
	// handlers are those of the applications.
	handlers() []*handler.Handler
	close()
}

// newSite returns what c asks for. common has the loggers.
func newSite(c *Config, pool *passenger.Pool, common handler.Config, lines *requestLog) (site, error) {
	if c.Flying != nil {
		return newApps(c, pool, common), nil
	}

	shared := newCompressor(c.StaticCacheSize)
	if len(c.Apps) > 0 {
		return newHosts(c, pool, shared, common, lines)
	}

	return newOneApp(c, nil, pool, shared, common, lines)
}

// oneApp has static files in front of the application.
type oneApp struct {
	http.Handler
	app *handler.Handler
}

func newOneApp(
	c *Config, beside []*Config, pool *passenger.Pool, shared *compressor, requests handler.Config, lines *requestLog,
) (*oneApp, error) {
	requests.UnlimitedConcurrencyPaths = c.unlimitedPaths(requests.Logger)

	app, err := handler.New(pool, requests)
	if err != nil {
		return nil, fmt.Errorf("the application in %s cannot be served: %w", c.Dir, err)
	}

	files := newStatic(c, beside, pool, shared, requests.Logger, app)
	files.requests = lines

	return &oneApp{Handler: files, app: app}, nil
}

func (o *oneApp) Drain()                       { o.app.Drain() }
func (o *oneApp) requests() any                { return o.app.Inspect() }
func (o *oneApp) handlers() []*handler.Handler { return []*handler.Handler{o.app} }
func (*oneApp) close()                         {}
