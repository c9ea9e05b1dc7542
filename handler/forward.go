package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// maxTrailer bounds what may follow the last chunk of an answer.
const maxTrailer = 16 << 10

// forward gives the answer to the client.
func (x *exchange) forward() error {
	p, out := &x.resp, x.w.Header()
	x.copyHeader(out)
	if _, asked := p.header[requestOOBW]; asked {
		x.session.RequestOOBW()
	}
	if _, typed := out["Content-Type"]; !typed {
		out["Content-Type"] = nil // keeps net/http from guessing
	}
	if lengths := p.header["Content-Length"]; len(lengths) == 1 && p.status != http.StatusNoContent {
		out["Content-Length"] = lengths
	}
	if x.uploading() && x.r.ProtoMajor == 1 {
		// What the client still sends must not be taken for its next request.
		out.Set("Connection", "close")
	}
	x.w.WriteHeader(p.status)
	x.answered = true
	if eventStream(p.header) {
		x.h.streams.add(x.conn)
		defer x.h.streams.remove(x.conn)
	}
	switch {
	case p.chunked:
		return x.forwardChunked()
	case p.length > 0:
		return x.copyBody(io.LimitReader(x.br, p.length), p.length, eventStream(p.header))
	case p.length < 0:
		return x.copyBody(x.br, -1, true)
	}
	p.complete = true
	return nil
}

func eventStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

func (x *exchange) forwardChunked() error {
	if err := x.copyBody(httputil.NewChunkedReader(x.br), -1, true); err != nil {
		return err
	}
	// The trailer is dropped, but it has to end in order.
	for size := 0; size <= maxTrailer; {
		line, err := x.br.ReadSlice('\n')
		size += len(line)
		if err != nil {
			x.resp.complete = false
			return fmt.Errorf("%w: in its trailer: %w", errAppDied, err)
		}
		if string(line) == "\r\n" {
			return nil
		}
	}
	x.resp.complete = false
	return malformed("its trailer is over %d bytes", maxTrailer)
}

// copyBody copies a body of the given length, or up to its end. With flush the
// client gets each piece as it comes.
func (x *exchange) copyBody(body io.Reader, length int64, flush bool) error {
	var copied int64
	unflushed := true // the head
	for {
		if flush && unflushed && x.br.Buffered() == 0 {
			// Writers that cannot flush do not hold anything back.
			_ = http.NewResponseController(x.w).Flush()
			unflushed = false
		}
		n, err := body.Read(x.buf)
		if n > 0 {
			if _, err := x.w.Write(x.buf[:n]); err != nil {
				return fmt.Errorf("%w: %w", errClientGone, err)
			}
			copied += int64(n)
			unflushed = true
		}
		switch {
		case length >= 0 && copied == length, length < 0 && errors.Is(err, io.EOF):
			x.resp.complete = true
			return nil
		case err != nil:
			return fmt.Errorf("%w after %s bytes: %w", errCutShort, strconv.FormatInt(copied, 10), err)
		}
	}
}

var errCutShort = errors.New("the application's answer ended")
