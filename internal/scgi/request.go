package scgi

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// unknownAddr is a client's that the web server says nothing about, and
// unixAddr that of one on a Unix socket, as net/http has it.
const (
	unknownAddr = "unknown"
	unixAddr    = "@"
)

// maxLengthDigits keeps the length of a body within an int64.
const maxLengthDigits = 18

// bodyLength is CONTENT_LENGTH, which SCGI wants first.
func bodyLength(params ParamList) (int64, error) {
	first := params[0]
	if first.Name != "CONTENT_LENGTH" {
		return 0, bad("the request's first parameter is %s and not CONTENT_LENGTH", show(first.Name))
	}

	v := first.Value
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || len(v) > maxLengthDigits || strings.Trim(v, "0123456789") != "" || v[0] == '0' && v != "0" {
		return 0, bad("CONTENT_LENGTH is %s and not a number of bytes in decimal", show(v))
	}

	return n, nil
}

// vars are the parameters that make a request, but for its headers.
type vars struct {
	scgi, method, uri, scriptName, pathInfo, query string
	contentType, protocol, https                   string
	host, serverName, serverPort                   string
	remoteAddr, remotePort                         string
}

// newVars fails where there are two Hosts.
func newVars(params ParamList) (*vars, error) {
	v := &vars{}

	hosts := 0
	for i := range params {
		value := params[i].Value
		switch params[i].Name {
		case "SCGI":
			v.scgi = value
		case "REQUEST_METHOD":
			v.method = value
		case "REQUEST_URI":
			v.uri = value
		case "SCRIPT_NAME":
			v.scriptName = value
		case "PATH_INFO":
			v.pathInfo = value
		case "QUERY_STRING":
			v.query = value
		case "CONTENT_TYPE":
			v.contentType = value
		case "SERVER_PROTOCOL":
			v.protocol = value
		case "HTTPS":
			v.https = value
		case "HTTP_HOST":
			v.host = value
			hosts++
		case "SERVER_NAME":
			v.serverName = value
		case "SERVER_PORT":
			v.serverPort = value
		case "REMOTE_ADDR":
			v.remoteAddr = value
		case "REMOTE_PORT":
			v.remotePort = value
		}
	}

	if hosts > 1 {
		return nil, bad("HTTP_HOST is there twice")
	}

	return v, nil
}

// newRequest returns a request without body and context.
func newRequest(params ParamList, length int64) (*http.Request, error) {
	v, err := newVars(params)
	if err != nil {
		return nil, err
	}

	if v.scgi != "1" {
		return nil, bad("the parameter SCGI is %s and not 1", show(v.scgi))
	}

	r := &http.Request{Method: v.method, ContentLength: length, Body: http.NoBody}
	if !httpfield.IsToken(v.method) {
		return nil, bad("REQUEST_METHOD is %s, which is no method", show(v.method))
	}

	if v.method == http.MethodConnect {
		return nil, refuse(http.StatusNotImplemented, "SCGI cannot pass CONNECT on")
	}

	if r.Header, err = makeHeader(params); err != nil {
		return nil, err
	}

	if !httpfield.ValidValue(v.contentType) {
		return nil, bad("CONTENT_TYPE has a control character")
	}

	if v.contentType != "" {
		r.Header["Content-Type"] = []string{v.contentType}
	}

	if length > 0 {
		r.Header["Content-Length"] = []string{params[0].Value}
	}

	if v.secure() {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: v.serverName}
	}

	if err := v.setProtocol(r); err != nil {
		return nil, err
	}

	if err := v.setTarget(r); err != nil {
		return nil, err
	}

	r.RemoteAddr, err = v.remote()

	return r, err
}

// secure reports whether the client speaks TLS: both nginx and Apache set HTTPS to "on", or leave it empty or out.
func (v *vars) secure() bool {
	return httpfield.EqualFold(v.https, "on") || v.https == "1"
}

func (v *vars) setProtocol(r *http.Request) error {
	switch v.protocol {
	// INCLUDED is a part of a page of Apache's.
	case "", "INCLUDED":
		r.Proto, r.ProtoMajor = "HTTP/1.0", 1
		return nil
	}

	var ok bool
	r.Proto = v.protocol
	if r.ProtoMajor, r.ProtoMinor, ok = http.ParseHTTPVersion(v.protocol); !ok {
		return bad("SERVER_PROTOCOL is %s, which is no version of HTTP", show(v.protocol))
	}

	if r.ProtoMajor > 3 {
		return refuse(http.StatusHTTPVersionNotSupported, "SERVER_PROTOCOL is %s, which is not known", show(v.protocol))
	}

	return nil
}

func (v *vars) setTarget(r *http.Request) (err error) {
	r.Host = v.hostPort(r.TLS != nil)
	if !httpfield.ValidHost(r.Host) {
		return bad("the request's host is %s, which is no host", show(r.Host))
	}

	r.RequestURI = v.uri
	if v.uri == "" {
		if r.RequestURI = (&url.URL{Path: v.scriptName + v.pathInfo}).EscapedPath(); r.RequestURI == "" {
			r.RequestURI = "/"
		}

		if v.query != "" {
			r.RequestURI += "?" + v.query
		}
	}

	if !httpfield.ValidTarget(r.RequestURI) {
		return bad("the request's target %s has a space or control character", show(r.RequestURI))
	}

	switch {
	case r.RequestURI == "*" && r.Method == http.MethodOptions:
		r.URL = &url.URL{Path: "*"}
		return nil
	case r.RequestURI[0] == '/':
		// A target that begins with two slashes has no host.
		r.URL, err = url.ParseRequestURI(r.RequestURI)
	default:
		if r.URL, err = url.ParseRequestURI(r.RequestURI); err == nil &&
			(r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.Host == "" || r.URL.User != nil) {
			return bad("the request's target is %s, which is neither a path nor of HTTP", show(r.RequestURI))
		}

		if err == nil && r.URL.Host != r.Host {
			return bad("the request's target %s is at another host than %s", show(r.RequestURI), show(r.Host))
		}
	}

	if err != nil {
		return bad("the request's target is %s, which is no path", show(r.RequestURI))
	}

	return nil
}

// hostPort has the port only where it is not the scheme's.
func (v *vars) hostPort(secure bool) string {
	if v.host != "" || v.serverName == "" {
		return v.host
	}

	name := v.serverName
	// SERVER_NAME may be an address of IPv6 without brackets.
	if strings.Contains(name, ":") && name[0] != '[' {
		name = "[" + name + "]"
	}

	usual := "80"
	if secure {
		usual = "443"
	}

	if v.serverPort == "" || v.serverPort == usual {
		return name
	}

	return name + ":" + v.serverPort
}

func (v *vars) remote() (string, error) {
	switch v.remoteAddr {
	case "":
		return unknownAddr, nil
	case "unix:":
		return unixAddr, nil
	}

	if _, err := netip.ParseAddr(v.remoteAddr); err != nil {
		return "", bad("REMOTE_ADDR is %s, which is no address", show(v.remoteAddr))
	}

	port := v.remotePort
	if port == "" {
		port = "0"
	}

	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", bad("REMOTE_PORT is %s, which is no port", show(v.remotePort))
	}

	return net.JoinHostPort(v.remoteAddr, port), nil
}
