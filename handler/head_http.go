package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/proxyheader"
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
	x.eachHeader(func(name string, values []string) {
		if name == forwardedFor || name == forwardedProto || x.env.replaces(name) {
			return
		}

		written := wireName(name)
		if proxyheader.Of(name) == proxyheader.NamedOnly {
			b = appendField(b, written, merged(name, values)) // of two lines, programs take either
			return
		}

		for _, v := range values {
			b = appendField(b, written, v)
		}
	})
	if trusted {
		if chain := r.Header[forwardedFor]; len(chain) > 0 {
			addr = strings.Join(chain, ", ") + ", " + addr
		}
	}

	b = appendField(b, forwardedFor, addr)
	b = appendField(b, forwardedProto, scheme(r, trusted))
	b = appendField(b, requestIDHeader, x.mark.id)
	b = appendField(b, requestStartHeader, x.mark.start)
	if len(x.env) > 0 {
		b = x.env.appendFields(b)
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
