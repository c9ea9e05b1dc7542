package handler

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// clientHeader names the client to processes that have agreed on loaderproto.FeatureHTTPClient. No client can send it.
const clientHeader = "!~Passenger-Client"

// appendHTTPHead appends the request's head as HTTP/1.1, with the client if the process takes it so. length is that of
// the body.
func (r *request) appendHTTPHead(b []byte, namesClient bool, length int64) []byte {
	b = append(b, r.method()...)
	b = append(b, ' ')
	b = append(b, r.target.uri...)
	b = append(b, " HTTP/1.1\r\n"...)
	host := r.target.host
	if host == "" {
		host = r.target.hostOfServer(r.http, r.scheme())
	}

	b = appendField(b, "Host", host)
	named := r.env.replaces(forwardedHost) || r.env.replaces(forwardedPort)
	r.eachField(func(name string, values []string) {
		if name == forwardedFor || name == forwardedProto || r.env.replaces(name) {
			return
		}

		named = named || name == forwardedHost || name == forwardedPort

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

	if chain := r.forwardedFor(); chain != "" {
		b = appendField(b, forwardedFor, chain)
	}

	b = appendField(b, forwardedProto, r.scheme())
	if !named {
		// Programs that believe the scheme take its usual port else, whatever Host says: Tomcat and Spring.
		_, port := r.target.server(r.http, r.scheme())
		b = appendField(b, forwardedPort, port)
	}

	b = appendField(b, requestIDHeader, r.mark.id)
	b = appendField(b, requestStartHeader, r.mark.start)
	if len(r.env) > 0 {
		b = r.env.appendFields(b)
	}

	b = r.appendFraming(b, length)
	if namesClient && r.remote.addr != unknownAddr {
		// The loader looks for it at the end.
		b = append(b, clientHeader+": "...)
		b = append(b, r.remote.addr...)
		b = append(b, ' ')
		b = append(b, r.remote.port...)
		b = append(b, "\r\n"...)
	}

	return append(b, "\r\n"...)
}

// appendFraming appends the field that says where the body ends, or what comes in the place of one.
func (r *request) appendFraming(b []byte, length int64) []byte {
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

	return b
}

// forwardedFor returns what X-Forwarded-For has for the application: the addresses that a trusted peer names, and its
// own; empty if the peer has no address.
func (r *request) forwardedFor() string {
	values := r.header()[forwardedFor]
	if !r.peer.trusted || len(values) == 0 {
		return r.peer.addr
	}

	return strings.Join(append(httpfield.Elements(values), r.peer.addr), ", ")
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
