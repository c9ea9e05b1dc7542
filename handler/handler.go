// Package handler is an [http.Handler] that passes requests on to the
// processes of an application in a [passenger.Pool].
//
// A request reads top to bottom: handler.go takes it, target.go and header.go
// say what of it reaches the application, checkout.go gets a session and a
// connection, exchange.go sends it (head_http.go, head_session.go, upload.go)
// and reads the answer (response.go, body.go), forward.go gives that to the
// client, upgrade.go is for WebSockets, errors.go for what goes wrong.
//
// The server in front reads the request: package net/http's limits and
// time-outs for the head, idle connections and so on are set there.
package handler

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger"
)

// DefaultConnectTimeout is what [Config.ConnectTimeout] is if not given.
const DefaultConnectTimeout = 10 * time.Second

// Config says how requests are passed on. Only Options.App.Root is needed.
type Config struct {
	// Options name the application. A request outside of their base URI is
	// answered with 404.
	Options passenger.Options
	// ConnectTimeout bounds how long a connection to a process takes; 0:
	// DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// TrustedProxies are the peers whose X-Forwarded-* headers are believed
	// and passed on. Those of others are removed. Peers on a Unix socket are
	// always believed, since its permissions say who may connect.
	TrustedProxies []netip.Prefix
	// StickySessions are off in the zero value.
	StickySessions StickySessions
	// ErrorDetails says whether what is known of an error is on its page; of a
	// spawn error that is output, paths, commands, environment variables, with
	// what looks secret hidden. See docs/error-pages.md.
	ErrorDetails ErrorDetails
	// Logger gets what went wrong; the zero value discards it.
	Logger logr.Logger
}

// Handler passes requests on. It is safe for concurrent use.
type Handler struct {
	pool *passenger.Pool
	cfg  Config
	base string

	// sticky is nil without sticky sessions.
	sticky *stickyRoute

	streams streams
}

// ErrorDetails says whether clients are shown what is known of an error.
type ErrorDetails uint8

// The choices.
const (
	// DetailsInDevelopment: where the application's environment is
	// "development".
	DetailsInDevelopment ErrorDetails = iota
	// DetailsAlways: in all environments.
	DetailsAlways
	// DetailsNever: in none.
	DetailsNever
)

func (c *Config) showsDetails() bool {
	return c.ErrorDetails == DetailsAlways ||
		c.ErrorDetails == DetailsInDevelopment && c.Options.App.Environment == "development"
}

// New returns a Handler for the application that cfg names. The pool stays the
// caller's.
func New(pool *passenger.Pool, cfg Config) *Handler {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = DefaultConnectTimeout
	}
	h := &Handler{pool: pool, cfg: cfg, base: baseURI(cfg.Options.App.BaseURI)}
	if err := cfg.StickySessions.Validate(); err != nil {
		cfg.Logger.Error(err, "Sticky sessions are off", "app", h.appName())
		return h
	}
	h.sticky = newStickyRoute(&cfg.StickySessions, h.base)
	return h
}

// ServeHTTP passes one request on. An answer that the application does not
// finish ends with a panic of [http.ErrAbortHandler], so that it never looks
// complete.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h, w, r)
	defer x.free()
	err := x.run() //nolint:contextcheck // it is the request's
	switch {
	case err == nil:
	case x.answered || errors.Is(err, errClientGone):
		h.cfg.Logger.V(1).Info("Request cut", "app", h.appName(), "method", r.Method, "target", r.RequestURI, "reason", err.Error(), "requestId", x.mark.id)
		panic(http.ErrAbortHandler)
	default:
		if x.unread && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		h.answerError(w, r, x.mark.id, err)
	}
}

func (h *Handler) appName() string { return h.cfg.Options.App.Name() }
