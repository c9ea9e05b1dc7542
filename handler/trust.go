package handler

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"sync"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// trust says which headers of a request go to the application. Those that applications
// believe of a proxy do only if the peer is trusted, and of these all but a few only if
// the configuration names them.
type trust struct {
	trusted bool
	// named has canonical names.
	named map[string]bool
}

// trust is what counts for the request.
func (x *exchange) trust() trust { return trust{x.peer.trusted, x.h.trustedHeaders} }

// passes reports whether the header of that canonical name goes to the application.
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

// canonicalNames is a set of headers.
func canonicalNames(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[textproto.CanonicalMIMEHeaderKey(name)] = true
	}

	return set
}

// maxDropLines bounds how many headers the log tells of, each once: clients make names
// up.
const maxDropLines = 16

// droppedHeaders tells the log, once for each, of headers that somebody may miss.
type droppedHeaders struct {
	mu   sync.Mutex
	told map[string]bool
}

// first reports whether the log is to tell of the name now.
func (d *droppedHeaders) first(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.told[name] || len(d.told) >= maxDropLines {
		return false
	}

	if d.told == nil {
		d.told = map[string]bool{}
	}

	d.told[name] = true

	return true
}

// tellOfDropped logs what of the client's header a proxy may have set in vain. Of a peer
// that is neither trusted nor of this machine nobody misses anything.
func (x *exchange) tellOfDropped(name string) {
	switch {
	case x.peer.trusted && proxyheader.Of(name) == proxyheader.NamedOnly:
		if x.h.dropped.first(name) {
			x.h.cfg.Logger.Info("A header of a trusted proxy is removed; if the proxy itself sets it, and replaces "+
				"what clients send, "+
				"name it in trusted_headers (handler.Config.TrustedHeaders)", "app", x.h.appName(), "header", name)
		}
	case name == forwardedProto && isLoopback(x.peer.addr):
		if x.h.dropped.first(name) {
			x.h.cfg.Logger.Info("The header X-Forwarded-Proto of a peer on this machine is removed; if that is a "+
				"proxy, "+
				"name it in trusted_proxies (handler.Config.TrustedProxies)", "app", x.h.appName(), "peer", x.peer.addr)
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
)

// scheme is the one that the client used: of the connection to the first proxy, if the
// peer is believed to know.
func scheme(r *http.Request, trusted bool) string {
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

// forwardedScheme is what the first element of X-Forwarded-Proto says, whatever its case;
// empty: nothing that is known. Some proxies write ws and wss for WebSockets.
func forwardedScheme(values []string) string {
	if len(values) == 0 {
		return ""
	}

	switch first := firstElement(values[0]); {
	case httpfield.EqualFold(first, "https"), httpfield.EqualFold(first, "wss"):
		return "https"
	case httpfield.EqualFold(first, "http"), httpfield.EqualFold(first, "ws"):
		return "http"
	}

	return ""
}
