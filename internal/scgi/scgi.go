// Package scgi serves what a web server sends by SCGI, the Simple Common Gateway
// Interface, to an http.Handler: nginx's scgi_pass, Apache's mod_proxy_scgi.
//
//	server := &scgi.Server{Handler: app}
//	err := server.Serve(listener)
//
// A connection carries one request and its response. [Split] lets one listener take
// SCGI and HTTP.
//
// # The request
//
// RequestURI is the target as the client sent it, from REQUEST_URI; a web server
// that does not send it gets one made of SCRIPT_NAME, PATH_INFO and QUERY_STRING.
// RemoteAddr is who has connected to the web server, from REMOTE_ADDR and
// REMOTE_PORT: "unknown" if it is not said, so that no program takes an unknown client
// for a proxy that can be believed, and "@", as net/http has it, if the web server
// listens on a Unix socket. Where HTTPS is "on", TLS is not nil, although nothing
// else is known of it; what a client claims in X-Forwarded-Proto has no influence.
// Host is HTTP_HOST, else SERVER_NAME and SERVER_PORT.
//
// Header has what begins with HTTP_, and the type and length of the body. Left out
// are what is between the client and the web server, which has dealt with it
// (Connection, Keep-Alive, Te, Trailer, Transfer-Encoding, Upgrade, Expect and
// what begins with Proxy-), and Proxy (CVE-2016-5386). A header that Connection
// lists stays, since it may be one that the web server has set. [Params] has all
// that was sent.
//
// What does not follow the protocol gets an error and is logged with the
// reason; the handler never sees it.
//
// # The response
//
// It is written as it is flushed, or when it exceeds a small buffer. Informational
// responses such as 103 are dropped: SCGI has no place for them. One that is
// aborted, or has fewer bytes than its Content-Length, ends with a reset
// connection where the system can do that (TCP; Unix sockets on Linux), so that
// the web server does not take it for complete.
//
// There is nothing to hijack: WebSockets go by HTTP, to the same socket if it is
// split.
//
// When the web server closes the connection, because its client has, the request's
// context is cancelled. That is noticed as soon as the request's body has arrived.
package scgi
