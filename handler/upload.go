package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/pace"
	"github.com/gopassenger/passenger/spawner"
)

// drainTime is how long a client may go on sending a body that nobody wants,
// so that it reads the answer before its connection is closed.
const drainTime = 500 * time.Millisecond

// lastBytesTime is how long an application that has answered may take to read
// the rest of the request, and the reason why a client's request has ended to arrive.
const lastBytesTime = 100 * time.Millisecond

// upload is a body that is not small on its way to the application, in a
// goroutine of its own, since the answer may begin before it ends.
type upload struct {
	done chan struct{}
	// read: the client has sent all of it.
	read atomic.Bool
	// complete: the application has been sent all of it.
	complete bool
	// clientErr is why the body could not be read to its end.
	clientErr error
}

func (x *exchange) startUpload() {
	u := &upload{done: make(chan struct{})}
	x.upload = u
	conn, halfClose := x.conn, x.halfClosesBody()
	if x.body == nil {
		u.read.Store(true)
		go func() {
			defer close(u.done)
			_, err := x.stored.WriteTo(conn)
			u.finish(conn, err == nil, halfClose)
		}()

		return
	}

	// Without it, net/http would read the body itself before the answer. That
	// other writers cannot do it is no fault: they do not.
	_ = x.control().EnableFullDuplex()
	body, chunked := &stalling{r: x.body, limit: x.h.cfg.ClientStallTimeout}, x.length < 0
	if body.limit > 0 && !x.hasReadTimeout() {
		body.pace = pace.Reading(x.control())
	}

	go func() {
		defer close(u.done)
		u.finish(conn, u.run(conn, body, chunked, &x.received), halfClose)
	}()
}

// stalling is a body that is streamed, of which each read has a time limit.
type stalling struct {
	r     io.Reader
	limit time.Duration
	pace  *pace.Pace
}

func (s *stalling) Read(p []byte) (int, error) {
	s.pace.Begin(time.Now().Add(s.limit))
	defer s.pace.End()

	return s.r.Read(p)
}

func (u *upload) finish(conn net.Conn, complete, halfClose bool) {
	u.complete = complete
	if complete && halfClose {
		closeWrite(conn)
	}
}

// run copies a body to its end, in chunks if its length is not known.
func (u *upload) run(conn net.Conn, body io.Reader, chunked bool, received *atomic.Int64) (complete bool) {
	memory := newMemory(copyBufferSize)
	defer memory.free()

	buf := memory.b
	for {
		n, err := body.Read(buf)
		received.Add(int64(n))
		u.read.Store(errors.Is(err, io.EOF))
		if errors.Is(err, errBodyLength) {
			n = 0 // the application must not get what looks like all of it
		}

		if n > 0 && writePiece(conn, buf[:n], chunked) != nil {
			return false // the answer, if there is one, is still read
		}

		if u.read.Load() {
			return !chunked || writePiece(conn, nil, true) == nil
		}

		if err != nil {
			u.clientErr = fmt.Errorf("%w: %w", readFault(err), err)
			cut(conn)
			return false
		}
	}
}

// readFault tells a client that breaks the rules from one that is slow, or gone, and
// from limits of the program's.
func readFault(err error) error {
	switch {
	case errors.Is(err, errBodyLength):
		return errBodyLength
	case as[*http.MaxBytesError](err):
		return errBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errClientSlow
	}

	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, http.ErrBodyReadAfterClose) {
		return errClientGone
	}

	return errBadUpload
}

// writePiece writes a piece of the body, as a chunk or as it is; no bytes make
// the last chunk.
func writePiece(w io.Writer, piece []byte, chunked bool) error {
	if !chunked {
		_, err := w.Write(piece)
		return err
	}

	if len(piece) == 0 {
		_, err := io.WriteString(w, "0\r\n\r\n")
		return err
	}

	head := strconv.AppendInt(make([]byte, 0, 18), int64(len(piece)), 16)
	chunk := net.Buffers{append(head, "\r\n"...), piece, []byte("\r\n")}
	_, err := chunk.WriteTo(w)

	return err
}

// halfClosesBody: the original's way to say that a body of the session protocol
// has ended, for loaders that know no other.
func (x *exchange) halfClosesBody() bool {
	return x.session.Protocol() == spawner.SessionProtocol && !x.session.KeepsSessionsOpen()
}

// closeWrite ends one direction of a connection, if that can be done to it.
func closeWrite(conn net.Conn) bool {
	c, ok := conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// uploading: the client has not sent all of the body yet.
func (x *exchange) uploading() bool { return x.upload != nil && !x.upload.read.Load() }

// ended reports whether nothing of the upload goes on.
func (u *upload) ended() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// endUpload waits for the upload and reports whether the application got all
// of it. One that goes on although the exchange is over is broken off.
func (x *exchange) endUpload() (complete bool) {
	u := x.upload
	if u == nil {
		return true
	}

	// An application that has answered takes the last bytes at once or not at all. An
	// error of reading ends the request's context before it comes out of the read, and
	// it is to be told from the one that breaking off the read causes.
	if u.read.Load() || errors.Is(x.ctx.Err(), context.Canceled) {
		select {
		case <-u.done:
		case <-time.After(lastBytesTime):
		}
	}

	if u.ended() && u.read.Load() {
		return u.complete
	}

	cut(x.conn)
	if x.body == nil {
		<-u.done
		return false
	}

	x.unread = true
	if !u.ended() {
		// Where there are no deadlines, the client's next bytes end the read.
		_ = x.control().SetReadDeadline(past)
		<-u.done
		if errors.Is(u.clientErr, os.ErrDeadlineExceeded) {
			u.clientErr = nil // it is ours
		}
	}

	x.readBy(time.Now().Add(drainTime))

	return false
}

// abandonBody lets an error be answered although the client may still be sending
// its request: net/http would wait for the rest before the answer, and after it.
func (x *exchange) abandonBody() {
	_ = x.control().EnableFullDuplex()
	x.readBy(time.Now().Add(drainTime))
	if x.r.ProtoMajor == 1 {
		x.w.Header().Set("Connection", "close")
	}
}
