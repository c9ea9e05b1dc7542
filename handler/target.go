package handler

import (
	"net"
	"net/http"
	"strings"

	"github.com/gopassenger/passenger/internal/urlpath"
)

// target is what the request's first line and Host mean to the application,
// computed once, from what the client sent and middleware has made of it.
type target struct {
	uri    string // path and query, escaped
	path   string // below script, escaped; never empty
	script string // the base URI, escaped, or empty
	query  string
	host   string // the Host header
}

// newTarget fails with errBadRequest or errNotFound.
func newTarget(r *http.Request, base urlpath.Base) (target, error) {
	t := target{uri: urlpath.Target(r), host: r.Host}
	if !validHost(t.host) {
		return target{}, errBadRequest
	}
	// HTTP/2 lets through what would end a request line.
	if t.uri == "" || t.uri[0] != '/' || strings.ContainsFunc(t.uri, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return target{}, errBadRequest
	}
	path, query, _ := strings.Cut(t.uri, "?")
	t.query = query
	below, ok := base.Cut(path)
	if !ok {
		return target{}, errNotFound
	}
	t.path, t.script = below, string(base)
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
