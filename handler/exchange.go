package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler/turbocache"
)

// exchange is one request and its response: it connects the client with the application.
type exchange struct {
	upstream upstream
	perRequest
}

// perRequest is what an exchange has of one request, beside the memory that the next one gets.
type perRequest struct {
	h   *Handler
	req request
	// body is the request's.
	body   requestBody
	client client

	// ticket takes the response to the turbocache.
	ticket turbocache.Ticket
	event  passenger.RequestEvent
	// reported reports whether the end of the request was reported, and ended whether the response is over.
	reported, ended bool
	// cut is why the response breaks off; nil means that it does not.
	cut error
	// streamEnded reports whether we have ended the stream that the response is.
	streamEnded atomic.Bool
	progress

	scratch scratch
}

var exchanges = sync.Pool{New: func() any {
	return &exchange{upstream: upstream{writer: &headWriter{}}}
}}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	x.h = h
	x.event.Began = time.Now()
	x.client.w, x.client.req = w, &x.req
	x.req.init(h, r, x.client.header(), x.event.Began)
	h.inFlight.add(x)

	return x
}

// free gives the memory to the next exchange. No goroutine of this one runs any more.
func (x *exchange) free() {
	x.h.inFlight.remove(x)
	x.body.stored.close()
	x.client.account.close()
	x.scratch.memory.free()

	// In place: a copy would be on the stack, which grows for it, and stays large while the client is idle.
	x.upstream.reset()
	x.perRequest = perRequest{}
	exchanges.Put(x)
}

// drop ends what a panic has interrupted: that of a writer or body of middleware's, or of another function of the
// program. A process without it would keep the session for ever, and a goroutine would use what free gives away.
func (x *exchange) drop() {
	if x.reported {
		x.end() // the observer or the access log has panicked
		return
	}

	x.client.writing.End()
	x.client.reader.pace.End()

	if s := x.upstream.session; s != nil {
		// Even if the end of the upload panics, too.
		defer s.Close(passenger.Discard)
		x.release(errPanicked)
	}

	// Middleware that recovers must not make what there is of the response look whole.
	if x.client.hasResponse() {
		x.client.abort(errClientGone)
	}

	x.reportEnd(errPanicked)
}

// end ends the response, once.
func (x *exchange) end() {
	if x.ended {
		return
	}

	x.ended = true

	switch {
	case x.cut == nil:
		x.client.finish()
	case x.client.hasResponse():
		x.client.abort(x.cut)
	}
}

// run takes the request to the application and its response to the client.
func (x *exchange) run() error {
	if err := x.admit(); err != nil {
		return err
	}

	if served, err := x.serveCached(); served {
		return err
	}

	if err := x.buffer(); err != nil {
		return err
	}

	x.event.Buffered = x.elapsed()
	if err := x.checkout(); err != nil {
		return err
	}

	if x.mustBuffer() {
		// The process must not wait for the client meanwhile.
		x.upstream.session.Close(passenger.KeepAlive)
		x.upstream.session, x.upstream.conn = nil, nil

		if err := x.bufferAll(); err != nil {
			return err
		}

		if err := x.checkout(); err != nil {
			return err
		}
	}

	if served, err := x.findScript(); served || err != nil {
		x.upstream.session.Close(passenger.KeepAlive)
		return err
	}

	x.upstream.watch(x.req.ctx)

	err := x.sendAndReadHead()
	if errors.Is(err, errNoResponse) && x.mayRepeat() {
		err = x.repeat(err)
	}

	if err == nil {
		err = x.forward()
	}

	// Before release aborts the upload, which looks to net/http as if the client had gone.
	cause := x.req.ctx.Err()

	x.release(err)
	x.upstream.upload.panicAgain()

	if err != nil {
		err = x.fail(err, cause)
	}

	return err
}

// fail returns why a request has failed that the application was sent; cause is that of the request's context.
func (x *exchange) fail(err, cause error) error {
	// The application may have changed something before it failed.
	x.h.cache.Invalidate(&x.ticket, nil)
	err = x.upstream.explain(err, cause)
	if x.streamEnded.Load() && !errors.Is(err, errClientGone) {
		err = errStreamEnded
	}

	x.reportFailure(err)

	return err
}

// admit decides whether the request is for the application, and finds out how long its body is.
func (x *exchange) admit() error {
	if err := x.req.check(); err != nil {
		return err
	}

	if err := x.openBody(); err != nil {
		return err
	}

	return x.req.checkUpgrade(x.body.length != 0)
}

func (x *exchange) sendAndReadHead() error {
	if err := x.send(); err != nil {
		return err
	}

	return x.readHead()
}

// send sends the request, or begins to. A connection that takes no more bytes may still hold a response, so that most
// errors of writing show when that is read.
func (x *exchange) send() error {
	x.setState(StateSendingHead)

	u := &x.upstream
	head, err := x.encodeHead()
	if err != nil {
		return err
	}

	u.openReader()

	// A body that is not small has a goroutine of its own: the response may begin before it ends.
	hasUpload := x.body.length != 0 && x.body.small == nil

	var sent int
	switch {
	case hasUpload:
		sent, err = u.writer.write(u.conn, head, u.session.Reused())
	case x.body.small != nil && u.halfClosesBody():
		sent, err = u.conn.Write(head)
		closeWrite(u.conn)
	default:
		x.setState(StateWaiting)
		sent, err = u.writer.writeAndWait(u.conn, head, u.session.Reused())
	}

	u.unsent = err != nil && sent == 0
	if errors.Is(err, errNotSilent) {
		return fmt.Errorf("%w: %w", errNoResponse, err)
	}

	if hasUpload {
		x.setState(StateForwardingBody)
		x.startUpload()
	}

	return nil
}

// encodeHead returns the request's head by the protocol of the process, with a small body behind it.
func (x *exchange) encodeHead() ([]byte, error) {
	u := &x.upstream

	u.buf = u.buf[:0]
	switch {
	case u.speaksFastCGI():
		return x.req.encodeFastCGI(&u.fastCGI, u.session.MayKeepIdle(), &x.body)
	case u.speaksSession():
		head, err := x.req.encodeSessionHead(&u.encoder, u.session.ConnectPassword(), x.body.length)
		if err != nil || x.body.small == nil {
			return head, err
		}

		u.buf = append(u.buf, head...)
	default:
		u.buf = x.req.appendHTTPHead(u.buf, u.session.NamesClient(), x.body.length)
	}

	u.buf = append(u.buf, x.body.small...)

	return u.buf, nil
}

// maxInterim bounds the responses of status 1xx before the final one.
const maxInterim = 16

// readHead reads the head of the final response, and forwards interim ones.
func (x *exchange) readHead() error {
	u := &x.upstream
	if _, err := u.reader.Peek(1); err != nil {
		return fmt.Errorf("%w: %w", errNoResponse, err)
	}

	// The process responds, whatever it says.
	u.session.Report(nil)
	if x.event.FirstByte == 0 {
		x.event.FirstByte = x.elapsed()
	}

	for interim := 0; ; interim++ {
		if err := u.readHead(x.h.cfg.MaxResponseHead); err != nil {
			return err
		}

		switch {
		case u.response.status == http.StatusSwitchingProtocols:
			return u.response.checkUpgrade(x.req.upgrade)
		case u.response.status >= 200:
			return u.response.frame(x.req.method())
		}

		// An application could send them for ever.
		if interim == maxInterim {
			return malformed("more than %d interim responses", maxInterim)
		}

		x.client.writeInterim(&u.response)
	}
}

// mayRepeat reports whether the request may be sent again on a new connection: the process closed one that had been
// used before, the application has not seen the request, or may see it twice, and the body is still there.
func (x *exchange) mayRepeat() bool {
	u := &x.upstream
	if !u.session.Reused() || x.req.ctx.Err() != nil || x.body.source != nil && u.upload != nil {
		return false
	}

	return u.unsent || x.req.isIdempotent()
}

// repeat sends the request again, once. Without a new connection, the first error stays.
func (x *exchange) repeat(first error) error {
	x.endUpload()
	x.upstream.upload = nil
	x.upstream.unwatch()

	if err := x.reconnect(); err != nil {
		return first
	}

	// It may be a process of another release.
	if served, err := x.findScript(); served || err != nil {
		return first
	}

	x.upstream.watch(x.req.ctx)

	return x.sendAndReadHead()
}

// queuedLong is a time that a request spends only in a queue behind others.
const queuedLong = 50 * time.Microsecond

// release lets the process go as soon as it has given its response, which ended with err. Only the first call counts.
// The connection goes with the process, perhaps to the next request.
func (x *exchange) release(err error) {
	u := &x.upstream
	if u.released {
		return
	}

	u.released = true
	// Not after the end of the upload, which looks as if the client had gone.
	unwanted := err != nil && x.req.ctx.Err() != nil && x.event.FirstByte == 0
	uploaded := x.endUpload()

	// A connection that the watch has interrupted, or is about to, is of no use to another request.
	unwatched := u.unwatch()

	mode := passenger.Discard
	switch {
	case err == nil && uploaded && unwatched && u.keepsAlive(x.body.length != 0):
		mode = passenger.KeepAlive
	case uploaded && u.speaksFastCGI():
		u.abortFastCGI()
	}

	x.event.AppDone = x.elapsed()
	x.appDone.Store(true)
	if !unwanted && (errors.Is(err, errAppDied) || errors.Is(err, errCutShort)) {
		u.session.AwaitEnd()
	}

	if unwanted && uploaded {
		u.session.Abandon(x.h.inFlight.abandon(x))
	} else {
		u.session.Close(mode)
	}

	if x.event.Queued > queuedLong {
		// Another request may have got the process, which has nothing to do until that one runs: our client can wait
		// for a moment more.
		runtime.Gosched()
	}
}

// explain finds out whether an error came about because the client went away, or because the time for the request was
// up. cause is why the request's context has ended, or nil.
func (u *upstream) explain(err, cause error) error {
	var clientErr error
	if u.upload != nil {
		clientErr = u.upload.clientErr
	}

	switch {
	// net/http ends the context after any error of reading, a deadline's too.
	case clientErr != nil && !errors.Is(clientErr, errClientGone):
		return clientErr
	// What was seen of the connection is what interrupting it did.
	case errors.Is(cause, context.DeadlineExceeded) && errors.Is(err, errNoResponse):
		return fmt.Errorf("the application did not respond before the request's deadline: %w", cause)
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("the application did not end its response before the request's deadline: %w", cause)
	case cause != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return errClientGone
	case cause != nil && errors.Is(err, errClientGone):
		return err
	case cause != nil:
		return fmt.Errorf("%w: %w", errClientGone, err)
	case u.session.TimeIsUp():
		return errTooSlow
	case clientErr != nil:
		return clientErr
	}

	return err
}

// reportFailure tells the pool of a process that has not begun to respond. A reused connection that was closed
// meanwhile is no failure: it may have been idle for too long.
func (x *exchange) reportFailure(err error) {
	s := x.upstream.session

	died := errors.Is(err, errNoResponse) && !errors.Is(err, errClientGone) && !s.Reused()
	if x.event.FirstByte == 0 && (died || errors.Is(err, context.DeadlineExceeded)) {
		s.Report(err)
	}
}

// elapsed is the time since the request began.
func (x *exchange) elapsed() time.Duration { return time.Since(x.event.Began) }
