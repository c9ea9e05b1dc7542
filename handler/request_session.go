package handler

import (
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/sessionproto"
)

// encodeSessionHead returns the request's head as a header block of the session protocol, in the encoder's memory.
// length is that of the body.
func (r *request) encodeSessionHead(e *sessionproto.Encoder, password string, length int64) ([]byte, error) {
	e.Reset()
	e.Add("PATH_INFO", r.target.path)
	e.Add("SCRIPT_NAME", r.target.script)
	e.Add("PASSENGER_CONNECT_PASSWORD", password)
	r.describe(e, length)

	return e.Bytes()
}

// variables takes those of CGI.
type variables interface {
	Add(name, value string)
	// AddHeader adds HTTP_NAME.
	AddHeader(name, value string)
}

// describe adds the variables that both protocols of CGI have. length is that of the body.
func (r *request) describe(e variables, length int64) {
	t := &r.target
	scheme := r.scheme()
	serverName, serverPort := t.server(r.http, scheme)

	e.Add("REQUEST_URI", t.uri)
	e.Add("QUERY_STRING", t.query)
	e.Add("REQUEST_METHOD", r.method())
	e.Add("SERVER_NAME", serverName)
	e.Add("SERVER_PORT", serverPort)
	e.Add("SERVER_SOFTWARE", passenger.ServerSoftware)
	e.Add("SERVER_PROTOCOL", "HTTP/1.1")
	e.Add("REMOTE_ADDR", r.remote.addr)
	e.Add("REMOTE_PORT", r.remote.port)
	if length > 0 || length == 0 && expectsLength(r.method()) {
		e.Add("CONTENT_LENGTH", strconv.FormatInt(length, 10))
	}

	if scheme == "https" {
		e.Add("HTTPS", "on")
	}

	if r.upgrade != "" {
		e.Add("HTTP_CONNECTION", "upgrade")
		e.Add("HTTP_UPGRADE", r.upgrade)
	}

	if t.host != "" {
		e.Add("HTTP_HOST", t.host)
	}

	e.AddHeader(requestIDHeader, r.mark.id)
	e.AddHeader(requestStartHeader, r.mark.start)
	r.eachField(func(name string, values []string) {
		switch {
		case name == forwardedProto:
			// Programs look for the word in small letters, and some of them compare the whole value.
			if said := forwardedScheme(values); said != "" && !r.env.replaces(name) {
				e.AddHeader(name, said)
			}
		case name == forwardedFor:
			if said := httpfield.Elements(values); len(said) > 0 && !r.env.replaces(name) {
				e.AddHeader(name, strings.Join(said, ", "))
			}
		case name == "Content-Type":
			if values[0] != "" {
				e.Add("CONTENT_TYPE", values[0])
			}
		case !r.env.replaces(name):
			e.AddHeader(name, merged(name, values))
		}
	})

	for name, value := range r.env {
		e.Add(name, value)
	}
}
