// Package passengercaddy has modules for Caddy: the directive passenger, whose sites are
// applications in Ruby, Python, Node.js, Go or any other language that the web server starts
// itself; the global option of this name; and the paths below /passenger/ of the admin API. In a
// Caddyfile:
//
//	shop.example.com {
//		passenger /srv/shop
//	}
//
// Processes outlive the configurations of Caddy. A reload leaves the processes of unchanged
// applications alone, restarts applications whose options changed, one process after the other, and
// ends those that are no longer configured.
package passengercaddy

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner"
)

func init() { //nolint:gochecknoinits // modules of Caddy register themselves
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(admin{})
	registerDirectives()
}

// Handler is the module http.handlers.passenger, which forwards requests to the processes of an
// application.
type Handler struct {
	Config

	// direct has the requests of peers that Caddy does not trust, proxied those of
	// others, whose X-Forwarded-Proto counts.
	direct, proxied *handler.Handler
	app             *application
	use             *use
}

// CaddyModule returns the ID of the module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.passenger",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision joins the pool. It starts nothing.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.provision(ctx); err != nil {
		return fmt.Errorf("passenger for %s: %w", describe(&h.Config), err)
	}

	return nil
}

func (h *Handler) provision(ctx caddy.Context) error {
	if err := h.replacePlaceholders(); err != nil {
		return err
	}

	cfg, err := h.handlerConfig()
	if err != nil {
		return err
	}

	loaded, err := ctx.App("passenger")
	if err != nil {
		return err
	}

	own, ok := loaded.(*App)
	if !ok {
		return errors.New("the Caddy app passenger is another one's")
	}

	if h.app, h.use, err = own.join(h, &cfg.Options); err != nil {
		return err
	}

	// The name may be another one than the configured one.
	cfg.Options.App.GroupName = h.app.name
	cfg.Logger = h.app.shared.logger
	if h.direct, err = handler.New(h.app.shared.pool, cfg); err != nil {
		return inOurWords(err)
	}

	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	if h.proxied, err = handler.New(h.app.shared.pool, cfg); err != nil {
		return inOurWords(err)
	}

	// A missing application must not prevent all other sites from starting.
	if e, ok := errors.AsType[*spawner.SpawnError](spawner.Check(&h.app.shared.spawning, cfg.Options.App)); ok {
		ctx.Slogger().Warn("the application cannot be started yet", "app", h.app.name, "reason", e.Summary, "advice",
			e.Advice)
	}

	return nil
}

// Cleanup leaves the application. The last configuration that leaves it ends it.
func (h *Handler) Cleanup() error {
	if h.app == nil {
		return nil // Provision has failed
	}

	h.app.leave(h.use)

	// A reload does not wait for the requests that the old configuration still has.
	if caddy.Exiting() {
		return h.app.release()
	}

	endings.Go(func() { _ = h.app.release() }) // an error has been logged

	return nil
}

// ServeHTTP forwards the request as earlier handlers have changed it: with the path that
// handle_path leaves, and the client's address and scheme by Caddy's trusted_proxies.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	// Connections of an old configuration bring requests for a while.
	if !h.app.flights.begin() {
		return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("the site was removed"))
	}

	defer h.app.flights.done()

	r = h.withEnv(r)
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		h.proxied.ServeHTTP(w, ofTrusted(r))
		return nil
	}

	h.direct.ServeHTTP(w, ofUntrusted(r))

	return nil
}

// withEnv returns the request with the variables of request_env.
func (h *Handler) withEnv(r *http.Request) *http.Request {
	if len(h.RequestEnv) == 0 {
		return r
	}

	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl == nil {
		return r
	}

	env := make(handler.Env, len(h.RequestEnv))
	for name, value := range h.RequestEnv {
		if value = repl.ReplaceAll(value, ""); value != "" {
			env[name] = value
		}
	}

	return r.WithContext(handler.WithEnv(r.Context(), env))
}

// ofTrusted leaves only the client that Caddy found, by its client_ip_headers, in X-Forwarded-For.
func ofTrusted(r *http.Request) *http.Request {
	client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	own := *r
	own.Header = r.Header.Clone()
	own.Header.Del("X-Forwarded-For")
	if _, err := netip.ParseAddr(client); err == nil {
		own.Header.Set("X-Forwarded-For", client)
	}

	return &own
}

// ofUntrusted also applies to a peer on a Unix socket, which Caddy trusts only with
// trusted_proxies_unix.
func ofUntrusted(r *http.Request) *http.Request {
	if addr := r.RemoteAddr; addr != "" && addr[0] != '@' && addr[0] != '/' {
		return r
	}

	own := *r
	own.RemoteAddr = "unknown"

	return &own
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
