package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/httphead"
)

// maxTrailer bounds what may follow the last chunk of an answer.
const maxTrailer = 16 << 10

// poweredBy is shared by all answers.
var poweredBy = []string{passenger.ServerSoftware}

// forward gives the answer to the client. The process is let go as soon as it
// has given it to us.
func (x *exchange) forward() error {
	p := &x.resp
	if _, asked := p.header[requestOOBW]; asked {
		x.session.RequestOOBW()
	}

	x.invalidateCache()
	if file := x.sendfile(); file != nil {
		x.releaseProcess(nil)
		return x.sendFile(file)
	}

	x.tellOfRemoved()
	cacheable := x.mayCache()
	body, whole, err := x.hold(cacheable)
	if err != nil {
		return err
	}

	x.writeHead(body, whole)
	if !whole {
		return x.passOn(body)
	}

	x.releaseProcess(nil)
	if cacheable {
		x.h.cache.Store(&x.ticket, body)
	}

	if len(body) == 0 {
		return nil
	}

	return x.give(body)
}

// writeHead sends the head of the answer, with the length of a body that is
// known to its end.
func (x *exchange) writeHead(body []byte, whole bool) {
	p, out := &x.resp, x.w.Header()
	x.copyHeader(out)
	x.h.sign(out, p.status)
	if _, typed := out["Content-Type"]; !typed {
		out["Content-Type"] = nil // keeps net/http from guessing
	}

	lengths := p.header["Content-Length"]
	switch {
	case len(lengths) == 1 && p.status != http.StatusNoContent:
		out["Content-Length"] = lengths
	case whole && (p.chunked || p.length < 0):
		out["Content-Length"] = []string{strconv.Itoa(len(body))}
	}

	if x.uploading() && x.r.ProtoMajor == 1 {
		// What the client still sends must not be taken for its next request.
		out.Set("Connection", "close")
	}

	x.endDoubt(out)
	x.answer(p.status)
}

// endDoubt ends a connection on which somebody in front of us may see another end
// of the request: net/http does not tell of a length beside a transfer coding, nor
// of a coding by HTTP/1.0. Our own server has refused both before.
func (x *exchange) endDoubt(out http.Header) {
	doubtful := len(x.r.TransferEncoding) > 0 && x.r.ProtoMajor == 1 || !x.r.ProtoAtLeast(1, 1)
	if doubtful && !httphead.IsStrict(x.ctx) {
		out.Set("Connection", "close")
	}
}

// answer begins the answer to the client.
func (x *exchange) answer(status int) {
	x.answered = true
	x.event.Status = status
	x.writeHeader(status)
}

// copyHeader gives the client what of the answer's head is for it.
func (x *exchange) copyHeader(to http.Header) {
	x.resp.copyHeader(to)
	x.spelled = x.resp.spellings
	if !x.h.cfg.Sendfile.ToProxy {
		delete(to, "X-Sendfile")
		delete(to, "X-Accel-Redirect")
	}

	if route := x.h.sticky; route != nil {
		https := scheme(x.r, x.peer.trusted) == "https"
		to.Add("Set-Cookie", route.cookie(x.session.StickyID(), https))
	}
}

// sign adds what every answer of ours has.
func (h *Handler) sign(to http.Header, status int) {
	to["Status"] = statusField(status)
	if !h.cfg.HidePoweredBy {
		to["X-Powered-By"] = poweredBy
	}
}

// statusFields are the values of the header Status, which is what CGI calls the
// status line.
var statusFields = func() (fields [600][]string) {
	for status := range fields {
		if text := http.StatusText(status); text != "" {
			fields[status] = []string{strconv.Itoa(status) + " " + text}
		}
	}

	return fields
}()

func statusField(status int) []string {
	if status < len(statusFields) && statusFields[status] != nil {
		return statusFields[status]
	}

	return []string{strconv.Itoa(status)}
}

func eventStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// passOn gives the client a body that has not been read to its end: what of it
// is held already, and then what comes.
func (x *exchange) passOn(held []byte) error {
	p := &x.resp
	defer x.invalidateCache() // it may have written something meanwhile
	if eventStream(p.header) {
		x.h.streams.add(x, x.conn)
		defer x.h.streams.remove(x)
	}

	if !x.buffers() {
		return x.stream(held)
	}

	return x.relay(held)
}

// buffers: the answer may be kept for a client that reads slowly.
func (x *exchange) buffers() bool {
	return x.h.cfg.MaxResponseBuffer > 0 && !eventStream(x.resp.header) && !httpfield.HasToken(x.resp.header["X-Accel-Buffering"],
		"no")
}

// bodyReader reads the answer's body and notes its end.
type bodyReader struct {
	x      *exchange
	chunks io.Reader // of a chunked one
	left   int64     // of one with a length
}

// reader returns the one reader of the answer's body.
func (x *exchange) reader() *bodyReader {
	r := &x.reading
	*r = bodyReader{x: x, left: x.resp.length}
	if x.resp.chunked {
		r.chunks = httputil.NewChunkedReader(x.br)
	}

	return r
}

// Read returns io.EOF at the end of the body, and another error if it is not
// there.
func (r *bodyReader) Read(p []byte) (n int, err error) {
	switch {
	case r.chunks != nil:
		n, err = r.chunks.Read(p)
		if errors.Is(err, io.EOF) {
			err = r.x.skipTrailer()
		}
	case r.left >= 0:
		n, err = r.x.br.Read(p[:min(int64(len(p)), r.left)])
		if r.left -= int64(n); r.left == 0 {
			err = io.EOF
		} else if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	default:
		n, err = r.x.br.Read(p)
	}

	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		r.x.resp.complete = true
	default:
		err = fmt.Errorf("%w: %w", errCutShort, err)
	}

	return n, err
}

// skipTrailer reads what follows the last chunk, which is dropped but has to end
// in order.
func (x *exchange) skipTrailer() error {
	for size := 0; size <= maxTrailer; {
		line, err := x.br.ReadSlice('\n')
		size += len(line)
		if err != nil {
			return fmt.Errorf("in its trailer: %w", noEOF(err))
		}

		if string(line) == "\r\n" {
			return io.EOF
		}
	}

	return malformed("its trailer is over %d bytes", maxTrailer)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}

	return err
}

// stream gives the client each piece as it comes, and holds nothing back.
func (x *exchange) stream(first []byte) error {
	if len(first) > 0 {
		if err := x.give(first); err != nil {
			return err
		}
	}

	buf := x.scratch(copyBufferSize)

	unflushed := true // the head
	for {
		if unflushed && x.br.Buffered() == 0 {
			x.flush()
			unflushed = false
		}

		n, err := x.reading.Read(buf)
		if n > 0 {
			if err := x.give(buf[:n]); err != nil {
				return err
			}

			unflushed = true
		}

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// give writes a piece of the answer. A client that does not take it in time is
// as good as gone.
func (x *exchange) give(piece []byte) error {
	x.beginWrite(len(piece))
	n, err := x.w.Write(piece)
	x.endWrite()
	x.sent.Add(int64(n))
	if err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}

	return nil
}
