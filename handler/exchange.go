package handler

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

const (
	readBufferSize = 16 << 10
	copyBufferSize = 32 << 10
)

// exchange is one request and its answer.
type exchange struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // r's

	peer   peer
	target target
	mark   requestMark
	// upgrade is the protocol that the client wants to change to, or empty.
	upgrade string
	// length is that of the request's body: 0 none, -1 unknown.
	length int64
	body   io.Reader
	// small is the whole body, if it was read already.
	small []byte

	session *passenger.Session
	conn    net.Conn
	// unsent: the connection did not take a byte of the request.
	unsent bool
	upload *upload
	resp   response
	// answered: the client has got the head of an answer.
	answered bool
	// unread: the client may still be sending its body, so that its connection
	// must end with the answer.
	unread bool

	// Memory that outlives the exchange.
	br  *bufio.Reader
	enc sessionproto.Encoder
	out []byte
	buf []byte
}

var exchanges = sync.Pool{New: func() any {
	return &exchange{br: bufio.NewReaderSize(nil, readBufferSize), buf: make([]byte, copyBufferSize)}
}}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	x.h, x.w, x.r, x.ctx = h, w, r, r.Context()
	x.peer = h.remote(r)
	x.mark = newRequestMark(r, x.peer.trusted)
	return x
}

// free gives the memory to the next exchange. Nothing of this one runs any
// more.
func (x *exchange) free() {
	x.br.Reset(nil)
	*x = exchange{br: x.br, enc: x.enc, out: x.out[:0], buf: x.buf, resp: response{header: x.resp.header}}
	exchanges.Put(x)
}

// run serves the request up to the end of the answer.
func (x *exchange) run() error {
	if err := x.admit(); err != nil {
		return err
	}
	if err := x.readSmallBody(); err != nil {
		return err
	}
	if err := x.checkout(); err != nil {
		return err
	}
	mode := passenger.Discard
	defer func() { x.session.Close(mode) }()
	if x.length < 0 && x.session.Protocol() == spawner.SessionProtocol {
		// A body without a length is collected before a process is taken up
		// by it: the session protocol has lengths only.
		x.session.Close(passenger.KeepAlive)
		done, err := x.collectBody()
		if err != nil {
			return err
		}
		defer done()
		if err := x.checkout(); err != nil {
			return err
		}
	}
	keep, err := x.converse()
	if keep {
		mode = passenger.KeepAlive
	}
	return err
}

// admit decides what of the request is for the application at all.
func (x *exchange) admit() (err error) {
	r := x.r
	switch r.Method {
	case http.MethodConnect, sessionproto.MethodPing, "ping", sessionproto.MethodOOBW:
		// The latter are for the process itself.
		return errMethod
	}
	if x.target, err = newTarget(r, x.h.base); err != nil {
		return err
	}
	if err := checkHeader(r.Header); err != nil {
		return err
	}
	x.length, x.body = r.ContentLength, r.Body
	if x.length == 0 || r.Body == nil || r.Body == http.NoBody {
		x.length, x.body = 0, nil
	}
	if x.upgrade = upgradeToken(r); x.upgrade != "" && (r.Method != http.MethodGet || x.length != 0) {
		return errBadRequest
	}
	return nil
}

// converse sends the request and passes the answer on. keep: the connection
// can serve another request.
func (x *exchange) converse() (keep bool, err error) {
	unwatch := x.watchClient()
	err = x.roundTrip()
	if errors.Is(err, errNoAnswer) && x.session.Reused() && x.mayRepeat() {
		unwatch()
		if x.reconnect() == nil {
			unwatch = x.watchClient()
			err = x.roundTrip()
		} // else what happened first is what is to be told
	}
	switch {
	case err != nil:
	case x.resp.status == http.StatusSwitchingProtocols:
		unwatch()
		return false, x.tunnel()
	default:
		err = x.forward()
	}
	uploaded := x.endUpload()
	// A connection that the watch has its hands on is not for anybody else.
	watched := unwatch()
	if err != nil {
		return false, x.blame(err)
	}
	return uploaded && watched && x.keepsAlive(), nil
}

// watchClient breaks the conversation off when the client goes away.
func (x *exchange) watchClient() (stop func() bool) {
	conn := x.conn
	return context.AfterFunc(x.ctx, func() { cut(conn) })
}

// errNoAnswer: the connection ended before the first byte of an answer.
var errNoAnswer = fmt.Errorf("%w: no byte of it came", errAppDied)

// mayRepeat: the application has not seen the request, or seeing it twice is as
// good as once, and its body, if it has one, is still there.
func (x *exchange) mayRepeat() bool {
	if x.ctx.Err() != nil || x.upload != nil {
		return false
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return x.unsent
}

// roundTrip sends the request, or begins to, and reads the head of the answer.
func (x *exchange) roundTrip() error {
	head, err := x.requestHead()
	if err != nil {
		return err
	}
	x.br.Reset(x.conn)
	// A connection that takes no more bytes may still hold an answer, so
	// errors of writing show when that is read.
	sent, err := x.conn.Write(head)
	x.unsent = err != nil && sent == 0
	switch {
	case x.small != nil && x.halfClosesBody():
		closeWrite(x.conn)
	case x.length != 0 && x.small == nil:
		x.startUpload()
	}
	return x.readHead()
}

func (x *exchange) requestHead() ([]byte, error) {
	x.out = x.out[:0]
	if x.session.Protocol() == spawner.SessionProtocol {
		head, err := x.sessionHead()
		if err != nil || x.small == nil {
			return head, err
		}
		x.out = append(x.out, head...)
	} else {
		x.out = x.appendHTTPHead(x.out)
	}
	x.out = append(x.out, x.small...)
	return x.out, nil
}

// keepsAlive: the application keeps the connection open, and nothing is on it.
func (x *exchange) keepsAlive() bool {
	if !x.resp.complete || !x.resp.keepAlive || x.br.Buffered() > 0 || x.ctx.Err() != nil {
		return false
	}
	if x.session.Protocol() == spawner.SessionProtocol {
		return x.session.KeepsSessionsOpen() || x.length == 0
	}
	return true
}

// blame finds out whether an error came about because the client went away, or
// because the time for the request was up.
func (x *exchange) blame(err error) error {
	switch cause := x.ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case cause != nil:
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	if x.session.TimeIsUp() {
		return fmt.Errorf("%w: %w", errTooSlow, err)
	}
	if u := x.upload; u != nil && u.clientErr != nil {
		return u.clientErr
	}
	return err
}

// cut makes whatever waits for the connection fail at once.
func cut(conn net.Conn) {
	// An error means that it is closed, which does as well.
	_ = conn.SetDeadline(time.Unix(1, 0))
}
