package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/proxyheader"
)

// appendHTTPHead appends the request's head as HTTP/1.1. length is that of the body.
func (r *request) appendHTTPHead(b []byte, length int64) []byte {
	b = append(b, r.method()...)
	b = append(b, ' ')
	b = append(b, r.target.uri...)
	b = append(b, " HTTP/1.1\r\n"...)
	host := r.target.host
	if host == "" {
		host, _ = r.target.server(r.http)
	}

	b = appendField(b, "Host", host)
	r.eachField(func(name string, values []string) {
		if name == forwardedFor || name == forwardedProto || r.env.replaces(name) {
			return
		}

		written := wireName(name)
		if proxyheader.Of(name) == proxyheader.NamedOnly {
			// Of two lines, some programs take the first and some the last.
			b = appendField(b, written, merged(name, values))
			return
		}

		for _, v := range values {
			b = appendField(b, written, v)
		}
	})
	addr := r.peer.addr
	if r.peer.trusted {
		if chain := r.header()[forwardedFor]; len(chain) > 0 {
			addr = strings.Join(chain, ", ") + ", " + addr
		}
	}

	b = appendField(b, forwardedFor, addr)
	b = appendField(b, forwardedProto, r.scheme())
	b = appendField(b, requestIDHeader, r.mark.id)
	b = appendField(b, requestStartHeader, r.mark.start)
	if len(r.env) > 0 {
		b = r.env.appendFields(b)
	}

	switch {
	case r.upgrade != "":
		b = append(b, "Connection: upgrade\r\n"...)
		b = appendField(b, "Upgrade", r.upgrade)
	case length > 0 || length == 0 && expectsLength(r.method()):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	case length < 0:
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

// expectsLength reports whether a request by this method says that it has no body, RFC 9110 section 8.6.
func expectsLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}
