package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/fcgiproto"
)

// abandonTime is how long a client may continue to send a body that is not read any more, so that it reads the response
// before its connection is closed.
const abandonTime = 500 * time.Millisecond

// lastBytesTime is how long an application that has responded may take to read the rest of the request, and how long
// the reason may take to show why a client's request has ended.
const lastBytesTime = 100 * time.Millisecond

// upload is a body that is not small on its way to the application, in a goroutine of its own, since the response may
// begin before it ends.
type upload struct {
	done chan struct{}
	// read reports whether the client has sent all of it.
	read atomic.Bool
	// complete reports whether the application was sent all of it.
	complete bool
	// clientErr is why the body could not be read to its end.
	clientErr error
	// returned reports whether the body could be read without a panic; panicked is its value otherwise.
	returned bool
	panicked any
}

// startUpload sends the body behind the head: from where it is stored, or as the client sends it.
func (x *exchange) startUpload() {
	u := &upload{done: make(chan struct{})}
	x.upstream.upload = u

	conn, halfClose := x.upstream.conn, x.upstream.halfClosesBody()

	// Framing by FastCGI is the same for all bodies. By HTTP, the head has announced chunks for one of unknown length.
	var to bodyWriter = wholeBody{conn}
	switch {
	case x.upstream.speaksFastCGI():
		to = fcgiproto.NewStdinWriter(conn)
	case x.body.length < 0:
		to = chunkedBody{conn}
	}

	if x.body.source == nil {
		u.read.Store(true)
		go func() {
			defer close(u.done)
			_, err := x.body.stored.WriteTo(to)
			u.finish(conn, err == nil && to.Close() == nil, halfClose)
		}()

		return
	}

	x.client.allowEarlyResponse()

	body := &stallingBody{body: x.body.source, limit: x.h.cfg.ClientStallTimeout}
	if body.limit > 0 {
		body.pace = x.client.readingPace()
	}

	go func() {
		defer close(u.done)
		defer u.recover(conn)
		u.finish(conn, u.copy(conn, to, body, &x.client.received), halfClose)
		u.returned = true
	}()
}

// recover keeps the panic of a body of middleware's for the goroutine of the request. In its own one, it would end the
// program.
func (u *upload) recover(conn net.Conn) {
	if u.returned {
		return
	}

	switch p := recover(); p {
	case nil: // the goroutine was ended
	case http.ErrAbortHandler:
		u.panicked = p
	default:
		u.panicked = fmt.Errorf("reading the request's body panicked: %v\n\n%s", p, debug.Stack())
	}

	u.clientErr = errPanicked
	interrupt(conn)
}

// panicAgain panics where the upload has.
func (u *upload) panicAgain() {
	if u != nil && u.panicked != nil {
		panic(u.panicked)
	}
}

func (u *upload) finish(conn net.Conn, complete, halfClose bool) {
	u.complete = complete
	if complete && halfClose {
		closeWrite(conn)
	}
}

// copy copies a body to its end.
func (u *upload) copy(conn net.Conn, to bodyWriter, body io.Reader, received *atomic.Int64) (complete bool) {
	memory := newMemory(copyBufferSize)
	defer memory.free()

	buf := memory.b
	for {
		n, err := body.Read(buf)
		received.Add(int64(n))
		u.read.Store(errors.Is(err, io.EOF))

		// The application must not get what looks like all of the body.
		if errors.Is(err, errBodyLength) {
			n = 0
		}

		if n > 0 {
			if _, writeErr := to.Write(buf[:n]); writeErr != nil {
				// The response, if there is one, is still read.
				return false
			}
		}

		if u.read.Load() {
			return to.Close() == nil
		}

		if err != nil {
			u.clientErr = readError(err)
			interrupt(conn)
			return false
		}
	}
}

// readError says of an error what kind it is of, unless it does so itself.
func readError(err error) error {
	kind := classifyReadError(err)
	if errors.Is(err, kind) {
		return err
	}

	return fmt.Errorf("%w: %w", kind, err)
}

// classifyReadError tells a client that breaks the rules from one that is slow, or gone, and from limits of the
// program.
func classifyReadError(err error) error {
	switch {
	case errors.Is(err, errBodyLength), errors.Is(err, http.ErrBodyReadAfterClose):
		return errBodyLength
	case as[*http.MaxBytesError](err):
		return errBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errClientSlow
	}

	if as[net.Error](err) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errClientGone
	}

	if as[streamError](err) || err.Error() == disconnected {
		return errClientGone
	}

	return errBadUpload
}

// disconnected is the text of the error that net/http has of HTTP/2 for a connection that has ended. It has no name.
const disconnected = "client disconnected"

// streamError is the error of a stream of HTTP/2 that was reset, mostly by its client. errors.As fills a struct with
// these fields from net/http's own (golang.org/issue/53896). What a body breaks of its length has another error.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("the stream was reset with code %d", e.Code) }

// bodyWriter writes a body to the application. Close ends the body and leaves the connection open.
type bodyWriter interface {
	io.Writer
	Close() error
}

// wholeBody writes a body of known length as it is.
type wholeBody struct{ net.Conn }

// ReadFrom lets the kernel copy a file, if it can.
func (b wholeBody) ReadFrom(r io.Reader) (int64, error) { return io.Copy(b.Conn, r) }

func (wholeBody) Close() error { return nil }

// chunkedBody writes each piece of a body as a chunk.
type chunkedBody struct{ conn net.Conn }

func (b chunkedBody) Write(piece []byte) (int, error) {
	head := strconv.AppendInt(make([]byte, 0, 18), int64(len(piece)), 16)
	chunk := net.Buffers{append(head, "\r\n"...), piece, []byte("\r\n")}
	if _, err := chunk.WriteTo(b.conn); err != nil {
		return 0, err
	}

	return len(piece), nil
}

func (b chunkedBody) Close() error {
	_, err := io.WriteString(b.conn, "0\r\n\r\n")
	return err
}

// isUploading reports whether the client has not sent all of the body yet.
func (u *upstream) isUploading() bool { return u.upload != nil && !u.upload.read.Load() }

// hasEnded reports whether the goroutine of the upload has ended.
func (u *upload) hasEnded() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// endUpload waits for the upload and reports whether the application got all of it. An upload in progress although the
// exchange is over is aborted.
func (x *exchange) endUpload() (complete bool) {
	u := x.upstream.upload
	if u == nil {
		return true
	}

	// An application that has responded takes the last bytes at once or not at all. An error of reading ends the
	// request's context before it comes out of the read, and must not pass for the one that aborting the read causes.
	if u.read.Load() || errors.Is(x.req.ctx.Err(), context.Canceled) {
		select {
		case <-u.done:
		case <-time.After(lastBytesTime):
		}
	}

	if u.hasEnded() && u.read.Load() {
		return u.complete
	}

	interrupt(x.upstream.conn)
	if x.body.source == nil {
		<-u.done
		return false
	}

	x.client.unread = true
	if !u.hasEnded() {
		// Where there are no deadlines, the client's next bytes end the read, for which the process must not wait.
		if err := x.client.control().SetReadDeadline(past); err != nil {
			x.upstream.session.Close(passenger.Discard)
		}

		<-u.done
		if errors.Is(u.clientErr, os.ErrDeadlineExceeded) {
			// The deadline was ours, and says nothing of the client.
			u.clientErr = nil
		}
	}

	x.client.setReadDeadline(time.Now().Add(abandonTime))

	return false
}
