package handler

import (
	"net/http"
	"strconv"
	"strings"
)

// appendHTTPHead writes the request's head as HTTP/1.1.
func (x *exchange) appendHTTPHead(b []byte) []byte {
	r := x.r
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, x.target.uri...)
	b = append(b, " HTTP/1.1\r\n"...)
	host := x.target.host
	if host == "" {
		host, _ = x.target.server(r)
	}
	b = appendField(b, "Host", host)
	addr, trusted := x.peer.addr, x.peer.trusted
	eachHeader(r, trusted, x.appHeader, func(name string, values []string) {
		if trusted && (name == "X-Forwarded-For" || name == "X-Forwarded-Proto") {
			return
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	})
	if trusted {
		if chain := r.Header["X-Forwarded-For"]; len(chain) > 0 {
			addr = strings.Join(chain, ", ") + ", " + addr
		}
	}
	b = appendField(b, "X-Forwarded-For", addr)
	b = appendField(b, "X-Forwarded-Proto", scheme(r, trusted))
	b = appendField(b, requestIDHeader, x.mark.id)
	b = appendField(b, requestStartHeader, x.mark.start)
	if len(x.env) > 0 {
		b = appendField(b, envHeader, x.env.encode())
	}
	switch {
	case x.upgrade != "":
		b = append(b, "Connection: upgrade\r\n"...)
		b = appendField(b, "Upgrade", x.upgrade)
	case x.length > 0 || x.length == 0 && expectsLength(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, x.length, 10)
		b = append(b, "\r\n"...)
	case x.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// expectsLength: a request by this method says that it has no body, RFC 9110
// section 8.6.
func expectsLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// scheme is the one that the client used: of the first proxy's connection, if
// that is to be believed.
func scheme(r *http.Request, trusted bool) string {
	if trusted {
		if v := r.Header.Get("X-Forwarded-Proto"); v != "" {
			return v
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
