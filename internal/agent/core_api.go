package agent

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/internal/dashboard"
)

// coreAPI is the admin API of a core, with what is public of it.
type coreAPI struct {
	listeners []net.Listener
	cancel    func()
	serving   sync.WaitGroup
}

// serveAPI serves the admin API on l, and what is public on metrics, if there
// are any. It owns both.
func (c *core) serveAPI(ctx context.Context, l net.Listener, metrics []deadlineListener) (*coreAPI, error) {
	api, err := c.newAPI()
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancel(ctx)
	a := &coreAPI{cancel: cancel}
	serve := func(l net.Listener, h http.Handler, failure string) {
		a.listeners = append(a.listeners, l)
		a.serving.Go(func() {
			if err := apiserver.Serve(ctx, l, h, c.log); err != nil {
				c.log.Error(err, failure)
			}
		})
	}
	a.serving.Go(func() { c.server.recordHistory(ctx) })
	serve(l, api, "the admin API has ended")
	if len(metrics) > 0 {
		mux := http.NewServeMux()
		mux.Handle("/metrics", api.Metrics())
		mux.Handle("/", apiserver.Health(c.server.ready))

		if c.cfg.Server.Dashboard.Dashboard {
			page := c.dashboard(api, l.Addr().String(), metrics)
			mux.Handle(dashboard.Path, page)
			mux.Handle(dashboard.Path+"/", page)
		}

		for _, l := range metrics {
			serve(l, mux, "the figures cannot be served any more")
		}
	}

	return a, nil
}

// newAPI returns the admin API of c.
func (c *core) newAPI() (*apiserver.Server, error) {
	var incidents apiserver.Incidents
	// A nil pointer is no nil interface.
	if c.server.incidents != nil {
		incidents = c.server.incidents
	}

	return apiserver.New(apiserver.Config{
		Pool:             c.server.pool,
		Accounts:         c.cfg.Accounts,
		Logger:           c.log,
		Requests:         c.server.site.requests,
		RequestFigures:   c.server.requestFigures,
		Figures:          c.server.figures,
		NativeHistograms: c.cfg.Server.MetricsNativeHistograms,
		Started:          c.started,
		Backlogs:         c.server.backlogs,
		Companions:       c.server.inspectCompanions,
		Incidents:        incidents,
		Ready:            c.server.ready,
		DisconnectClient: c.server.disconnect,
		Settings:         c.settings,
		ChangeSettings:   c.level.change,
		RestartAbsent:    c.server.restartAbsent,
		ReopenLogs:       c.reopenLogsForCaller,
		Shutdown: func() {
			select {
			case c.shutdown <- struct{}{}:
			default:
				// It ends already.
			}
		},
	})
}

// leave takes no more calls.
func (a *coreAPI) leave() {
	for _, l := range a.listeners {
		// It may be closed.
		_ = l.Close()
	}
}

// stop ends the calls that wait for something, and waits for the others.
func (a *coreAPI) stop() {
	a.leave()
	a.cancel()
	a.serving.Wait()
}
