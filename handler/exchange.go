package handler

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler/turbocache"
	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/httphead"
	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner"
)

// exchange is one request and its answer.
type exchange struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context // r's
	// rc is made by control.
	rc *http.ResponseController

	// peer is who has connected, remote for whom.
	peer   peer
	remote peer
	// knowsClient: what the peer says of others has nobody before the client.
	knowsClient bool

	target target
	mark   requestMark
	env    Env
	// appHeader are the observer's headers for the application; nil without.
	appHeader http.Header
	// upgrade is the protocol that the client wants to change to, or empty.
	upgrade string
	// length is that of the request's body: 0 none, -1 unknown.
	length int64
	// body is what the client still sends; nil if there is nothing, or it has
	// all been read: into small, or stored.
	body   io.Reader
	exact  exactBody
	small  []byte
	stored storedBody
	client slowClient
	// account is what the bodies have of the budget.
	account account

	session *passenger.Session
	conn    net.Conn
	// unwatch ends watching the client; nil if it is not watched.
	unwatch func() bool
	// unsent: the connection did not take a byte of the request.
	unsent bool
	upload *upload
	resp   response
	// spelled are names of what the client gets.
	spelled []httpfield.Spelling
	// reading is the answer's body.
	reading bodyReader
	// writing is the pace at which the client takes the response; nil: there is none yet.
	writing *pace.Pace
	// answered: the client has got the head of an answer.
	answered bool
	// unread: the client may still be sending its body, so that its connection
	// must end with the answer.
	unread bool
	// ticket is what the turbocache has to say of the request.
	ticket turbocache.Ticket

	event passenger.RequestEvent
	flight
	upstreamFree bool

	// Memory that outlives the exchange.
	enc     sessionproto.Encoder
	out     []byte
	sending *sending
	// Memory of this one, while it needs it.
	br  *bufio.Reader
	buf *memory
}

var exchanges = sync.Pool{New: func() any {
	return &exchange{sending: &sending{}}
}}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	x.h, x.w, x.r, x.ctx = h, w, r, r.Context()
	x.event.Began = time.Now()
	x.peer = h.remote(r)
	x.remote, x.knowsClient = h.client(r, x.peer)
	x.mark = newRequestMark(r, h.programsID(w, r), x.peer.trusted, x.event.Began)
	h.flights.add(x)

	return x
}

// free gives the memory to the next exchange. Nothing of this one runs any
// more.
func (x *exchange) free() {
	x.h.flights.remove(x)
	x.stored.release()
	x.account.close()
	x.buf.free()
	if x.br != nil {
		x.br.Reset(nil)
		readers.Put(x.br)
	}

	clear(x.resp.spellings) // heads are long
	*x = exchange{
		enc:     x.enc,
		out:     x.out[:0],
		sending: x.sending,
		resp:    response{header: x.resp.header, spellings: x.resp.spellings[:0]},
	}
	exchanges.Put(x)
}

func (x *exchange) control() *http.ResponseController {
	if x.rc == nil {
		x.rc = http.NewResponseController(x.w)
	}

	return x.rc
}

// run serves the request up to the end of the answer.
func (x *exchange) run() error {
	if err := x.admit(); err != nil {
		return err
	}

	if served, err := x.serveCached(); served {
		return err
	}

	if err := x.readBody(); err != nil {
		return err
	}

	x.event.Buffered = x.since()
	if err := x.checkout(); err != nil {
		return err
	}

	if x.mustStore() {
		x.session.Close(passenger.KeepAlive)
		if err := x.storeBody(); err != nil {
			return err
		}

		if err := x.checkout(); err != nil {
			return err
		}
	}

	err := x.converse()

	// Before the upload is broken off, which looks to net/http as if the client
	// had gone.
	cause := x.ctx.Err()
	x.releaseProcess(err)
	if err != nil {
		x.h.cache.Invalidate(&x.ticket, nil) // it may have written something before
		err = x.blame(err, cause)
		x.reportFailure(err)
	}

	return err
}

// reportFailure tells the pool of a process that has not begun to answer. That a
// connection of before was closed meanwhile is no failure: it may have been idle for too
// long.
func (x *exchange) reportFailure(err error) {
	died := errors.Is(err, errNoAnswer) && !errors.Is(err, errClientGone) && !x.session.Reused()
	if x.event.FirstByte == 0 && (died || errors.Is(err, context.DeadlineExceeded)) {
		x.session.Report(err)
	}
}

// admit decides what of the request is for the application at all.
func (x *exchange) admit() (err error) {
	r := x.r
	if err := httphead.CheckMethod(r.Method); err != nil {
		return methodFault(err)
	}

	switch r.Method {
	case http.MethodConnect, sessionproto.MethodPing, "ping", sessionproto.MethodOOBW:
		// The latter are for the process itself.
		return errMethod
	}

	if x.target, err = newTarget(r, x.h.base); err != nil {
		return err
	}

	if err := x.h.cfg.Limits.check(x.target.uri, r.Header); err != nil {
		return err
	}

	if err := checkHeader(r.Header); err != nil {
		return err
	}

	if x.env, err = envOf(x.ctx); err != nil {
		return err
	}

	if err := x.takeBody(); err != nil {
		return err
	}

	if x.upgrade = upgradeToken(r); x.upgrade != "" && (r.Method != http.MethodGet || x.length != 0) {
		return errBadRequest
	}

	return nil
}

// takeBody finds out how long the request's body is.
func (x *exchange) takeBody() error {
	r := x.r
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}

	x.length, x.body = r.ContentLength, r.Body
	if x.length < 0 {
		return nil
	}

	x.exact = exactBody{r: r.Body, length: x.length, left: x.length}
	x.body = &x.exact
	if x.length > 0 {
		return nil
	}

	// A client that says so, by HTTP/2, may still be about to end its request.
	client := &x.client
	if len(r.Header["Content-Length"]) > 0 {
		client = x.slowClient()
		defer client.release()
	} else {
		client.x = x
	}

	_, err := client.Read(nil)
	if errors.Is(err, io.EOF) {
		x.body = nil
		return nil
	}

	return err
}

// converse sends the request and passes the answer on. It may leave it to
// releaseProcess to let the process go.
func (x *exchange) converse() error {
	x.watchClient()
	err := x.roundTrip()
	if errors.Is(err, errNoAnswer) && x.session.Reused() && x.mayRepeat() {
		x.unwatchClient()
		if x.reconnect() == nil {
			x.watchClient()
			err = x.roundTrip()
		} // else what happened first is what is to be told
	}

	switch {
	case err != nil:
		return err
	case x.resp.status == http.StatusSwitchingProtocols:
		x.unwatchClient()
		return x.tunnel()
	}

	return x.forward()
}

// releaseProcess lets the process go, as soon as it has given its answer, of
// which err is what went wrong. Only the first call counts. The connection goes
// with it, to the next request perhaps.
func (x *exchange) releaseProcess(err error) {
	if x.upstreamFree {
		return
	}

	x.upstreamFree = true
	uploaded := x.endUpload()

	// A connection that the watch has its hands on is not for anybody else.
	watched := x.unwatchClient()
	mode := passenger.Discard
	if err == nil && uploaded && watched && x.keepsAlive() {
		mode = passenger.KeepAlive
	}

	x.event.AppDone = x.since()
	x.appDone.Store(true)
	x.session.Close(mode)
	if x.event.Queued > crowded {
		// Somebody else may have got the process, which has nothing to do until
		// that one runs: our client can wait for a moment more.
		runtime.Gosched()
	}
}

// crowded is a time that only a request spends waiting behind others.
const crowded = 50 * time.Microsecond

// watchClient breaks the conversation off when the client goes away.
func (x *exchange) watchClient() {
	conn := x.conn
	x.unwatch = context.AfterFunc(x.ctx, func() { cut(conn) })
}

// unwatchClient ends that; false: too late.
func (x *exchange) unwatchClient() bool {
	stop := x.unwatch
	x.unwatch = nil
	return stop == nil || stop()
}

// errNoAnswer: the connection ended before the first byte of an answer.
var errNoAnswer = fmt.Errorf("%w: no byte of it came", errAppDied)

// mayRepeat: the application has not seen the request, or seeing it twice is as
// good as once, and its body, if it has one, is still there.
func (x *exchange) mayRepeat() bool {
	if x.ctx.Err() != nil || x.body != nil && x.upload != nil {
		return false
	}

	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		if !x.unsent {
			return false
		}
	}

	x.endUpload()
	x.upload = nil

	return true
}

// roundTrip sends the request, or begins to, and reads the head of the answer.
func (x *exchange) roundTrip() error {
	x.enter(StateSendingHead)
	head, err := x.requestHead()
	if err != nil {
		return err
	}

	x.readFromConn()
	hasUpload := x.length != 0 && x.small == nil
	var sent int

	// A connection that takes no more bytes may still hold an answer, so errors
	// of writing show when that is read.
	switch halfCloses := x.small != nil && x.halfClosesBody(); {
	case hasUpload:
		sent, err = x.sending.begin(x.conn, head, x.session.Reused())
	case halfCloses:
		sent, err = x.conn.Write(head)
		closeWrite(x.conn)
	default:
		x.enter(StateWaiting)
		sent, err = x.sending.send(x.conn, head, x.session.Reused())
	}

	x.unsent = err != nil && sent == 0
	if errors.Is(err, errNotSilent) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}

	if hasUpload {
		x.enter(StateForwardingBody)
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
	if !x.resp.complete || !x.resp.keepAlive || x.br.Buffered() > 0 {
		return false
	}

	if x.session.Protocol() == spawner.SessionProtocol {
		return x.session.KeepsSessionsOpen() || x.length == 0
	}

	return true
}

// blame finds out whether an error came about because the client went away, or
// because the time for the request was up. cause is why its context has ended, if
// it has.
func (x *exchange) blame(err, cause error) error {
	// net/http ends the context after any error of reading, a deadline's too.
	u := x.upload
	if u != nil && u.clientErr != nil && !errors.Is(u.clientErr, errClientGone) {
		return u.clientErr
	}

	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case cause != nil:
		return fmt.Errorf("%w: %w", errClientGone, err)
	}

	if x.session.TimeIsUp() {
		return fmt.Errorf("%w: %w", errTooSlow, err)
	}

	if u != nil && u.clientErr != nil {
		return u.clientErr
	}

	return err
}

// cut makes whatever waits for the connection fail at once.
func cut(conn net.Conn) {
	// An error means that it is closed, which does as well.
	_ = conn.SetDeadline(past)
}

// flight is what others see of an exchange while it goes on.
type flight struct {
	state          atomic.Uint32
	pid            atomic.Int64
	received, sent atomic.Int64
	appDone        atomic.Bool
	// disconnected: the client is to go, whatever deadline is set later.
	disconnected  atomic.Bool
	before, after *exchange // in Handler.flights
}
