package handler

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// target is what the request's first line and Host mean to the application,
// computed once, from what the client sent and middleware has made of it.
type target struct {
	uri    string // path and query, escaped
	path   string // below script, escaped; never empty
	script string // the base URI, or empty
	query  string
	host   string // the Host header
}

// baseURI returns u without slashes at its end; "/" becomes empty.
func baseURI(u string) string { return strings.TrimRight(u, "/") }

// newTarget fails with errBadRequest or errNotFound.
func newTarget(r *http.Request, base string) (target, error) {
	t := target{uri: requestTarget(r), host: r.Host}
	if !validHost(t.host) {
		return target{}, errBadRequest
	}
	// HTTP/2 lets through what would end a request line.
	if t.uri == "" || t.uri[0] != '/' || strings.ContainsFunc(t.uri, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
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

// requestTarget is path and query of r.URL, which middleware may have changed, as
// http.StripPrefix does. They are written as the client has written them where that
// says the same: applications tell escapes apart that a url.URL does not. It is empty
// where there is no path.
func requestTarget(r *http.Request) string {
	if sent := originForm(r.RequestURI); sent != "" && saysTheSame(sent, r.URL) {
		return sent
	}
	if r.URL.Opaque != "" {
		return ""
	}

	uri := r.URL.EscapedPath()
	if uri == "" || uri[0] != '/' {
		uri = "/" + uri // http.StripPrefix("/app/", h) leaves no slash
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		uri += "?" + r.URL.RawQuery
	}

	return uri
}

// originForm takes scheme and authority off a target in absolute form.
func originForm(target string) string {
	_, rest, absolute := strings.Cut(target, "://")
	if !absolute || target[0] == '/' {
		return target
	}

	switch slash := strings.IndexAny(rest, "/?"); {
	case slash < 0:
		return "/"
	case rest[slash] == '?':
		return "/" + rest[slash:]
	default:
		return rest[slash:]
	}
}

// saysTheSame reports whether u is what net/http makes of the target sent, or what
// middleware has made of u means the same.
func saysTheSame(sent string, u *url.URL) bool {
	path, query, asked := strings.Cut(sent, "?")
	if query != u.RawQuery || asked != (query != "" || u.ForceQuery) {
		return false
	}

	switch {
	case u.RawPath != "":
		return u.RawPath == path && decodesTo(path, u.Path, true)
	case u.Path == "":
		return path == "/"
	default:
		return decodesTo(path, u.Path, false)
	}
}

// decodesTo reports whether escaped is path with escapes. slashes says that escaped
// slashes are the same as others.
func decodesTo(escaped, path string, slashes bool) bool {
	if strings.IndexByte(escaped, '%') < 0 {
		return escaped == path
	}

	for len(escaped) > 0 {
		c, size := escaped[0], 1
		if c == '%' {
			if len(escaped) < 3 || !isHex(escaped[1]) || !isHex(escaped[2]) {
				return false
			}
			c, size = unhex(escaped[1])<<4|unhex(escaped[2]), 3
		}
		if path == "" || path[0] != c || c == '/' && size > 1 && !slashes {
			return false
		}
		escaped, path = escaped[size:], path[1:]
	}

	return path == ""
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
