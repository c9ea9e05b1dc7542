package handler

import (
	"strconv"

	"github.com/gopassenger/passenger"
)

// sessionHead writes the request's head as a header block of the session
// protocol.
func (x *exchange) sessionHead() ([]byte, error) {
	r, t, e := x.r, &x.target, &x.enc
	serverName, serverPort := t.server(r)
	e.Reset()
	e.Add("REQUEST_URI", t.uri)
	e.Add("PATH_INFO", t.path)
	e.Add("SCRIPT_NAME", t.script)
	e.Add("QUERY_STRING", t.query)
	e.Add("REQUEST_METHOD", r.Method)
	e.Add("SERVER_NAME", serverName)
	e.Add("SERVER_PORT", serverPort)
	e.Add("SERVER_SOFTWARE", passenger.ServerSoftware)
	e.Add("SERVER_PROTOCOL", "HTTP/1.1")
	e.Add("REMOTE_ADDR", x.remote.addr)
	e.Add("REMOTE_PORT", x.remote.port)
	if x.length > 0 || x.length == 0 && expectsLength(r.Method) {
		e.Add("CONTENT_LENGTH", strconv.FormatInt(x.length, 10))
	}

	e.Add("PASSENGER_CONNECT_PASSWORD", x.session.ConnectPassword())
	if scheme(r, x.peer.trusted) == "https" {
		e.Add("HTTPS", "on")
	}

	if x.upgrade != "" {
		e.Add("HTTP_CONNECTION", "upgrade")
		e.Add("HTTP_UPGRADE", x.upgrade)
	}

	if t.host != "" {
		e.Add("HTTP_HOST", t.host)
	}

	e.AddHeader(requestIDHeader, x.mark.id)
	e.AddHeader(requestStartHeader, x.mark.start)
	x.eachHeader(func(name string, values []string) {
		switch {
		case name == forwardedProto:
			// Programs look for the word, in small letters, and some of them at the whole.
			if said := forwardedScheme(values); said != "" && !x.env.replaces(name) {
				e.AddHeader(name, said)
			}
		case name == "Content-Type":
			if values[0] != "" {
				e.Add("CONTENT_TYPE", values[0])
			}
		case !x.env.replaces(name):
			e.AddHeader(name, merged(name, values))
		}
	})

	for name, value := range x.env {
		e.Add(name, value)
	}

	return e.Bytes()
}
