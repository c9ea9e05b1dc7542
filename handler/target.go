package handler

import (
	"net"
	"net/http"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/urlpath"
)

// target is what the request's first line and Host mean to the application, computed once, from what the client sent
// and middleware has made of it.
type target struct {
	uri    string // path and query, escaped
	path   string // below script, escaped; never empty
	script string // the base URI, escaped, or empty
	query  string
	host   string // the field Host
}

// newTarget fails with errBadRequest or errNotFound.
func newTarget(r *http.Request, base urlpath.Base) (target, error) {
	t := target{uri: urlpath.Target(r), host: r.Host}
	if !httpfield.ValidHost(t.host) {
		return target{}, errBadRequest
	}

	// HTTP/2 allows what would end a request line, and net/http a fragment.
	if t.uri == "" || t.uri[0] != '/' || !httpfield.ValidTarget(t.uri) {
		return target{}, errBadRequest
	}

	if r.ProtoMajor > 1 && r.RequestURI != "" && r.RequestURI[0] != '/' {
		// RFC 9113 section 8.3.1 allows no URL there.
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

// server returns the name and port that the client has asked for.
func (t *target) server(r *http.Request, scheme string) (name, port string) {
	name, port, err := net.SplitHostPort(t.host)
	if err != nil {
		name, port = strings.Trim(t.host, "[]"), ""
	}

	if port == "" {
		port = "80"
		if scheme == "https" {
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
