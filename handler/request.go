package handler

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/sessionproto"
)

// request is the head of a request, as net/http has read it and middleware has left it, and what the handler has found
// out about it.
type request struct {
	h    *Handler
	http *http.Request
	// ctx is that of the request, or the one that the observer has made of it.
	ctx  context.Context
	mark requestMark

	// peer has connected to the server, remote is the client that it speaks for.
	peer, remote peer
	// clientFirst reports whether X-Forwarded-For has no address before the client's.
	clientFirst bool

	target target
	env    Env
	// appHeader are the observer's fields for the application; nil means none.
	appHeader http.Header
	// upgrade is the protocol that the client wants to change to, or empty.
	upgrade string
}

// init sets what the head says before it is checked. responseHeader is what middleware has set before.
func (r *request) init(h *Handler, from *http.Request, responseHeader http.Header, began time.Time) {
	r.h, r.http, r.ctx = h, from, from.Context()
	r.peer = h.peerOf(from)
	r.remote, r.clientFirst = h.clientOf(from, r.peer)
	r.mark = newRequestMark(from, h.assignedID(from, responseHeader), r.peer.trusted, began)
}

func (r *request) method() string { return r.http.Method }

func (r *request) header() http.Header { return r.http.Header }

// isHTTP1 reports whether the client's connection has one request after the other, as that of HTTP/1.
func (r *request) isHTTP1() bool { return r.http.ProtoMajor == 1 }

// isBefore11 reports whether the client's protocol is older than HTTP/1.1.
func (r *request) isBefore11() bool { return !r.http.ProtoAtLeast(1, 1) }

// scheme is the one that the client used, "http" or "https".
func (r *request) scheme() string { return schemeOf(r.http, r.peer.trusted) }

// path is what the log has of the target: the query may hold secrets.
func (r *request) path() string {
	path, _, _ := strings.Cut(r.http.RequestURI, "?")
	return path
}

// server returns the server in front; nil if it is not one of net/http.
func (r *request) server() *http.Server {
	s, _ := r.ctx.Value(http.ServerContextKey).(*http.Server)
	return s
}

// isAmbiguous reports whether a server in front of us may have seen another end of the request: net/http does not tell
// of a length beside a transfer coding, nor of a coding by HTTP/1.0. Our own server has refused both before.
func (r *request) isAmbiguous() bool {
	return (len(r.http.TransferEncoding) > 0 && r.isHTTP1() || r.isBefore11()) && !httphead.IsStrict(r.ctx)
}

// check decides whether the head is for the application at all, and sets target and env.
func (r *request) check() (err error) {
	if err := httphead.CheckMethod(r.method()); err != nil {
		return methodError(err)
	}

	switch r.method() {
	case http.MethodConnect, sessionproto.MethodPing, "ping", sessionproto.MethodOOBW:
		// All but the first are for the process itself.
		return errMethod
	}

	if r.target, err = newTarget(r.http, r.h.base); err != nil {
		return err
	}

	if err := r.h.cfg.Limits.check(r.target.uri, r.header()); err != nil {
		return err
	}

	// Our own server has refused these before; those of other programs, and HTTP/2, have not.
	if err := checkHeader(r.header()); err != nil {
		return err
	}

	r.env, err = envOf(r.ctx)

	return err
}

// checkUpgrade sets upgrade. A change of protocol is asked for by a GET without a body.
func (r *request) checkUpgrade(hasBody bool) error {
	if r.upgrade = upgradeToken(r.http); r.upgrade != "" && (r.method() != http.MethodGet || hasBody) {
		return errBadRequest
	}

	return nil
}

// isIdempotent reports whether the application may see the request twice, RFC 9110 section 9.2.2.
func (r *request) isIdempotent() bool {
	switch r.method() {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}

	return false
}
