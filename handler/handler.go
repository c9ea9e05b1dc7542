// Package handler is an [http.Handler] that forwards requests to the processes of an application in a [passenger.Pool].
//
// A request waits until all of its body is there, gets a session with a process, and is sent by the protocol that the
// process speaks. The response is forwarded as it comes; what a slow client has not taken is kept, so that the process
// is free. WebSockets are tunnels, and files that the application names are sent in its place. A request that fails
// gets a page, which has details for those who may see them.
//
// The server in front reads the request: limits and time-outs for heads and idle connections are set there, in package
// net/http.
package handler

import (
	"errors"
	"net/http"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler/turbocache"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// Handler forwards requests to an application. It is safe for concurrent use.
type Handler struct {
	pool     *passenger.Pool
	cfg      Config
	base     urlpath.Base
	releases func() passenger.ReleaseDirs
	observer passenger.Observer
	// unlimited are the options for UnlimitedConcurrencyPaths; nil means that there are no such paths.
	unlimited      *passenger.Options
	unlimitedPaths []urlpath.Base
	// uncounted are Config.MetricsExclude.
	uncounted []urlpath.Base
	// sticky is nil without sticky sessions, cache is nil without the turbocache.
	sticky *stickyRoute
	// unlimitedSticky is sticky for unlimited, whose processes are others.
	unlimitedSticky *stickyRoute
	cache           *turbocache.Cache

	streams streams
	shares  *queueShares
	// refused is for requests that a full queue has refused.
	refused  ratelog.Line
	inFlight inFlight
	figures  *figures
	// unanswered and queuedTooLong bound how often incidents of requests are recorded.
	unanswered, queuedTooLong ratelog.Line
	// disk is for bodies that cannot be buffered.
	disk ratelog.Line
	// badAppHeader is for fields of the observer that cannot be sent.
	badAppHeader ratelog.Line

	// trustedHeaders are Config.TrustedHeaders.
	trustedHeaders map[string]bool
	dropped        droppedFields
}

// New returns a Handler for the application that cfg names, which starts with its first request. The pool stays the
// caller's.
//
// The error names each fault of cfg: what [Config.Validate] and the Validate method of its Options find.
func New(pool *passenger.Pool, cfg Config) (*Handler, error) {
	var noPool error
	if pool == nil {
		noPool = errors.New("the handler has no pool: pass one of passenger.New")
	}

	if err := errors.Join(noPool, cfg.Validate(), cfg.Options.Validate()); err != nil {
		return nil, err
	}

	base, err := urlpath.Parse(cfg.Options.App.BaseURI)
	if err != nil {
		return nil, err
	}

	cfg = cfg.clone().withDefaults()
	h := &Handler{
		pool:      pool,
		cfg:       cfg,
		base:      base,
		observer:  pool.Observer(),
		unlimited: unlimitedOptions(&cfg),
		releases:  pool.ReleaseDirs(&cfg.Options),
		figures:   newFigures(),

		trustedHeaders: canonicalNames(cfg.TrustedHeaders),
	}
	h.shares = newQueueShares(&cfg)
	h.sticky = newStickyRoute(&cfg.StickySessions, string(base), "")
	h.unlimitedSticky = newStickyRoute(&cfg.StickySessions, string(base), unlimitedCookieSuffix)

	if h.unlimitedPaths, err = parsePaths(cfg.UnlimitedConcurrencyPaths); err != nil {
		return nil, err
	}

	if h.uncounted, err = parsePaths(cfg.MetricsExclude); err != nil {
		return nil, err
	}

	if !cfg.DisableTurbocache {
		h.cache = turbocache.New(cfg.VaryTurbocacheByCookie)
	}

	return h, nil
}

// ServeHTTP forwards one request. A response that the application does not finish ends with a panic of
// [http.ErrAbortHandler]. It never looks complete, even where middleware recovers from the panic: nothing can be
// written to the client any more.
//
// What middleware has made of the request counts: the URL (http.StripPrefix), Host, RemoteAddr without a port as the
// client's address (see Config.TrustedProxies), the body with ContentLength (http.MaxBytesHandler leads to 413),
// headers, [WithEnv] and [WithRequestID]. Of the response, the fields that middleware has set before stay where the
// application does not set them, and Set-Cookie, Vary, Link, Server-Timing and others that add up stay beside the
// application's.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h, w, r)
	defer x.free()

	x.reportBegin()
	defer x.drop()
	err := x.run() //nolint:contextcheck // its context is the request's
	if err != nil {
		x.recordFailure(err)
	}

	// What has begun cannot become an error page, and a client that has gone needs none.
	if err != nil && (x.client.hasResponse() || errors.Is(err, errClientGone)) {
		x.cut = err
	} else if err != nil {
		x.respondWithError(err)
	}

	x.reportEnd(err)
	x.end()

	if x.cut != nil {
		x.abort()
	}

	x.client.waitForSender()
	h.refused.Flush(func(more int) {
		h.cfg.Logger.Info("requests were refused: the queue was full", "app", h.appName(), "requests", more)
	})
}

func (h *Handler) appName() string { return h.cfg.Options.App.Name() }
