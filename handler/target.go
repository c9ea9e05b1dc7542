package handler

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// target is what the request's first line and Host mean to the application,
// computed once, from what the client sent.
type target struct {
	uri    string // path and query, as sent
	path   string // below script, as sent; never empty
	script string // the base URI, or empty
	query  string
	host   string // the Host header
}

// baseURI returns u without slashes at its end; "/" becomes empty.
func baseURI(u string) string { return strings.TrimRight(u, "/") }

// newTarget fails with errBadRequest or errNotFound.
func newTarget(r *http.Request, base string) (target, error) {
	t := target{uri: r.RequestURI, host: r.Host}
	if t.uri == "" {
		t.uri = r.URL.RequestURI() // a request that no server has read
	}
	if _, rest, absolute := strings.Cut(t.uri, "://"); absolute && t.uri[0] != '/' {
		slash := strings.IndexAny(rest, "/?")
		switch {
		case slash < 0:
			t.uri = "/"
		case rest[slash] == '?':
			t.uri = "/" + rest[slash:]
		default:
			t.uri = rest[slash:]
		}
	}
	if !validHost(t.host) {
		return target{}, errBadRequest
	}
	// HTTP/2 lets through what would end a request line.
	if t.uri[0] != '/' || strings.ContainsFunc(t.uri, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return target{}, errBadRequest
	}
	path, query, _ := strings.Cut(t.uri, "?")
	t.query = query
	below, ok := strings.CutPrefix(path, base)
	if !ok || below != "" && below[0] != '/' {
		return target{}, errNotFound
	}
	t.path, t.script = below, base
	if t.path == "" {
		t.path = "/"
	}
	return t, nil
}

// server returns the name and port that the client asked for.
func (t *target) server(r *http.Request) (name, port string) {
	name, port, err := net.SplitHostPort(t.host)
	if err != nil {
		name, port = strings.Trim(t.host, "[]"), ""
	}
	if port == "" {
		port = "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	if name != "" {
		return name, port
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if h, p, err := net.SplitHostPort(a.String()); err == nil {
			return h, p
		}
	}
	return "localhost", port
}

// peer is who has connected, and whether it is believed what it says of those
// before it.
type peer struct {
	addr, port string
	trusted    bool
}

// remote has defaults for peers without an address, as on a Unix socket.
func (h *Handler) remote(r *http.Request) peer {
	addr, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return peer{"127.0.0.1", "0", true}
	}
	return peer{addr, port, h.trusts(addr)}
}

// trusts: the address is that of a proxy which is believed.
func (h *Handler) trusts(addr string) bool {
	if len(h.cfg.TrustedProxies) == 0 {
		return false
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(h.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// client is who has made the request: the peer, or whom it names, if it is
// believed: in X-Forwarded-For, the last one that is not such a proxy itself.
func (h *Handler) client(r *http.Request, p peer) peer {
	chain := r.Header["X-Forwarded-For"]
	if !p.trusted || len(chain) == 0 {
		return p
	}
	client := p
	rest := strings.Join(chain, ",")
	for rest != "" {
		last := rest[strings.LastIndexByte(rest, ',')+1:]
		rest = strings.TrimSuffix(rest[:len(rest)-len(last)], ",")
		addr := strings.Trim(last, " \t")
		if host, _, err := net.SplitHostPort(addr); err == nil {
			addr = host
		}
		if _, err := netip.ParseAddr(addr); err != nil {
			break // nobody knows who that is
		}
		client = peer{addr, "0", true}
		if !h.trusts(addr) {
			break
		}
	}
	return client
}

// validHost: a name or address with a port, perhaps, RFC 3986 section 3.2; net/http
// lets more through.
func validHost(host string) bool {
	var name, port string
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || strings.Trim(host[1:end], "0123456789ABCDEFabcdef:.") != "" {
			return false
		}
		if rest := host[end+1:]; rest != "" {
			var hasPort bool
			if port, hasPort = strings.CutPrefix(rest, ":"); !hasPort {
				return false
			}
		}
	} else {
		name, port, _ = strings.Cut(host, ":")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~!$&'()*+,;=%", c) >= 0:
		default:
			return false
		}
	}
	return strings.Trim(port, "0123456789") == ""
}
