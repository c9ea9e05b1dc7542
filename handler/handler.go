// Package handler is an [http.Handler] that passes requests on to the
// processes of an application in a [passenger.Pool].
//
// A request waits until all of its body is there, gets a session with a process, and is
// sent by the protocol that the process speaks. The response is passed on as it comes;
// what a slow client has not taken is kept, so that the process is free. WebSockets and
// other upgrades are tunnels, and files that the application names are sent for it.
// What goes wrong is answered with a page that says what, to those who may know.
//
// The server in front reads the request: package net/http's limits and
// time-outs for the head, idle connections and so on are set there.
package handler

import (
	"errors"
	"net/http"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler/turbocache"
	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// Handler passes requests on. It is safe for concurrent use.
type Handler struct {
	pool     *passenger.Pool
	cfg      Config
	base     urlpath.Base
	releases func() passenger.ReleaseDirs
	observer passenger.Observer
	// unlimited are the options for UnlimitedConcurrencyPaths; nil without.
	unlimited      *passenger.Options
	unlimitedPaths []urlpath.Base
	// sticky is nil without sticky sessions, cache without the turbocache.
	sticky *stickyRoute
	cache  *turbocache.Cache

	streams streams
	shares  *queueShares
	// refused is for requests that a full queue has refused.
	refused ratelog.Line
	flights flights
	disk    ratelog.Line
	// badAppHeader is for headers of the observer that cannot be sent.
	badAppHeader ratelog.Line

	// trustedHeaders are Config.TrustedHeaders.
	trustedHeaders map[string]bool
	dropped        droppedHeaders
}

// New returns a Handler for the application that cfg names, which starts with its
// first request. The pool stays the caller's.
//
// The error names each fault of cfg: what [Config.Validate] and the Validate method
// of its Options find.
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

		trustedHeaders: canonicalNames(cfg.TrustedHeaders),
	}
	h.shares = newQueueShares(&cfg)

	h.sticky = newStickyRoute(&cfg.StickySessions, string(base))
	for _, path := range cfg.UnlimitedConcurrencyPaths {
		prefix, err := urlpath.Parse(path)
		if err != nil {
			return nil, err
		}

		h.unlimitedPaths = append(h.unlimitedPaths, prefix)
	}

	if !cfg.DisableTurbocache {
		h.cache = turbocache.New(cfg.VaryTurbocacheByCookie)
	}

	return h, nil
}

// ServeHTTP passes one request on. A response that the application does not finish
// ends with a panic of [http.ErrAbortHandler]. It never looks complete, even where
// middleware recovers from the panic: nothing can be written to the client any more.
//
// What middleware has made of the request counts: the URL (http.StripPrefix), Host,
// RemoteAddr without a port as the client's address (see Config.TrustedProxies), the
// body with ContentLength (http.MaxBytesHandler is answered with 413), headers,
// [WithEnv] and [WithRequestID]. Of the response, the fields that middleware has set
// before stay where the application does not set them, and Set-Cookie, Vary, Link,
// Server-Timing and others that add up stay beside the application's.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h, w, r)
	defer x.free()
	x.began()
	err := x.run() //nolint:contextcheck // it is the request's
	cut := err != nil && (x.answered || errors.Is(err, errClientGone))
	if err != nil && !cut {
		x.answerError(err)
	}

	x.ended(err)
	if cut {
		h.cfg.Logger.V(1).Info("Request cut", "app", h.appName(), "method", r.Method, "path", pathOf(r), "reason",
			err.Error(), "requestId", x.mark.id)
		if x.answered {
			x.breakOff(err)
		}

		panic(http.ErrAbortHandler)
	}

	x.endHurry()
	h.refused.Flush(func(more int) {
		h.cfg.Logger.Info("Requests were refused: the queue was full", "app", h.appName(), "requests", more)
	})
}

func (h *Handler) appName() string { return h.cfg.Options.App.Name() }
