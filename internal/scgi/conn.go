package scgi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

var errEndsInHead = errors.New("the connection ended within the request's head")

// conn is a connection and its one request.
type conn struct {
	server *Server
	conn   net.Conn
	in     *input
	// headRead reports whether the head of the request has come. Server.mu guards it, and the
	// read deadline until then.
	headRead bool
}

func (c *conn) serve(base context.Context) {
	c.in = newInput(c.conn)
	complete := false
	// Also where the handler ends its goroutine.
	defer func() {
		if complete {
			c.in.finish()
			_ = c.conn.Close()
		} else {
			c.abort()
		}

		c.in.free()
		c.server.untrack(c)
	}()
	complete = c.server.respond(base, c)
}

// abort resets the connection, if that can be.
func (c *conn) abort() {
	// A Unix socket knows no such reset: what is left in it unread has the same effect, see input.
	if t, ok := c.conn.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0)
	}

	_ = c.conn.Close()
}

// respond reports whether the response is complete.
func (s *Server) respond(base context.Context, c *conn) (complete bool) {
	s.limitHead(c)
	r, params, err := c.readRequest(s.maxHeaderBytes())
	if err != nil {
		return c.refuse(err)
	}

	ctx, cancel := context.WithCancel(s.context(base, c.conn, params))
	defer cancel()
	body := &requestBody{in: c.in, cancel: cancel}
	if r.ContentLength > 0 {
		r.Body = body
	}

	s.endHead(c)
	// A request without a body has arrived.
	body.watchIfArrived()
	w := newResponse(c.conn, body, r.Method == http.MethodHead, s.Logger)
	r = r.WithContext(ctx)
	returned := false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http does
			s.Logger.Error(nil, "a handler of SCGI requests panicked", "panic", p, "remote", r.RemoteAddr, "stack",
				string(debug.Stack()))
		}

		// A handler that has not returned leaves a response that is not whole, and the connection is reset.
		if returned {
			complete = w.finish()
		} else {
			w.discard()
		}

		body.end()
	}()
	s.handler().ServeHTTP(w, r)
	returned = true

	// The deferred function sets it when the response is complete.
	return false
}

func (s *Server) context(ctx context.Context, c net.Conn, params ParamList) context.Context {
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.LocalAddr())
	if s.ConnContext != nil {
		if ctx = s.ConnContext(ctx, c); ctx == nil {
			panic("scgi: ConnContext returned nil")
		}
	}

	return context.WithValue(ctx, paramsKey{}, params)
}

func (c *conn) readRequest(limit int) (*http.Request, ParamList, error) {
	head, err := c.in.readHead(limit, func() { c.server.setState(c.conn, http.StateActive) })
	if err != nil {
		return nil, nil, err
	}

	if c.server.HeadRead != nil {
		c.server.HeadRead(c.conn)
	}

	params, err := splitHead(head)
	if err != nil {
		return nil, nil, err
	}

	length, err := bodyLength(params)
	if err != nil {
		return nil, nil, err
	}

	r, err := newRequest(params, length)
	if err != nil {
		return nil, nil, err
	}

	return r, params, c.in.setBody(length)
}

// refuse responds to a request that cannot be served, and reports whether there is a
// response.
func (c *conn) refuse(err error) bool {
	status := http.StatusBadRequest

	r, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
		status = r.status
	case errors.Is(err, os.ErrDeadlineExceeded) && c.in.w > 0:
		status = http.StatusRequestTimeout
	case errors.Is(err, io.EOF) && c.in.w == 0, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		// The web server has not asked for anything.
		return false
	}

	if errors.Is(err, io.EOF) {
		err = errEndsInHead
	}

	c.server.refused.Tell(func(more int) {
		c.server.Logger.Info("refused an SCGI request", "status", status, "reason", err.Error(), "more", more)
	})
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	// There may be more, which has to be read for the web server to get the response.
	c.in.unread = 1
	_ = c.conn.SetWriteDeadline(time.Now().Add(drainTime))
	_, err = io.WriteString(c.conn, "Status: "+text+"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "+
		strconv.Itoa(len(text)+1)+"\r\n\r\n"+text+"\n")

	return err == nil
}
