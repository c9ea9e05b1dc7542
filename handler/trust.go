package handler

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// trust says which fields of a request go to the application. Those that applications believe of a proxy do only if the
// peer is trusted, and all but a few of these only if the configuration names them.
type trust struct {
	trusted bool
	// named has canonical names.
	named map[string]bool
}

func (r *request) trust() trust { return trust{r.peer.trusted, r.h.trustedHeaders} }

// passes reports whether the field of that canonical name goes to the application.
func (t trust) passes(name string) bool {
	switch proxyheader.Of(name) {
	case proxyheader.Anybody:
		return true
	case proxyheader.TrustedProxy:
		return t.trusted
	case proxyheader.NamedOnly:
	}

	return t.trusted && t.named[name]
}

// canonicalNames returns a set of names.
func canonicalNames(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[textproto.CanonicalMIMEHeaderKey(name)] = true
	}

	return set
}

// maxDropLines bounds how many fields are logged, each once: clients make names up.
const maxDropLines = 16

// droppedFields are the fields that were removed and logged.
type droppedFields struct {
	mu     sync.Mutex
	logged map[string]bool
}

// first reports whether the name has to be logged now.
func (d *droppedFields) first(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.logged[name] || len(d.logged) >= maxDropLines {
		return false
	}

	if d.logged == nil {
		d.logged = map[string]bool{}
	}

	d.logged[name] = true

	return true
}

// logDroppedField logs a field that a proxy may have set in vain. From a peer that is neither trusted nor on this
// machine, nothing is missed.
func (r *request) logDroppedField(name string) {
	h := r.h

	switch {
	case r.peer.trusted && proxyheader.Of(name) == proxyheader.NamedOnly:
		if h.dropped.first(name) {
			h.cfg.Logger.Info("a header of a trusted proxy was removed: if the proxy itself sets it, and replaces "+
				"what clients send, name it in trusted_headers (handler.Config.TrustedHeaders)",
				"app", h.appName(), "header", name)
		}
	case name == forwardedProto && isLoopback(r.peer.addr):
		if h.dropped.first(name) {
			h.cfg.Logger.Info("the header X-Forwarded-Proto of a peer on this machine was removed: if that is a "+
				"proxy, name it in trusted_proxies (handler.Config.TrustedProxies)",
				"app", h.appName(), "peer", r.peer.addr)
		}
	}
}

func isLoopback(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	return err == nil && ip.Unmap().IsLoopback()
}

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
	forwardedPort  = "X-Forwarded-Port"
)

// schemeOf returns the scheme that the client used: on the connection to the first proxy, if the peer is believed.
func schemeOf(r *http.Request, trusted bool) string {
	if trusted {
		if said := forwardedScheme(r.Header[forwardedProto]); said != "" {
			return said
		}
	}

	if r.TLS != nil {
		return "https"
	}

	return "http"
}

// forwardedScheme returns the scheme in the first element of X-Forwarded-Proto, in any case; empty means that it is
// none. Some proxies write ws and wss for WebSockets.
func forwardedScheme(values []string) string {
	if len(values) == 0 {
		return ""
	}

	first, _, _ := strings.Cut(values[0], ",")

	switch first = strings.Trim(first, " \t"); {
	case httpfield.EqualFold(first, "https"), httpfield.EqualFold(first, "wss"):
		return "https"
	case httpfield.EqualFold(first, "http"), httpfield.EqualFold(first, "ws"):
		return "http"
	}

	return ""
}
