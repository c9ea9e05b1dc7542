package handler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// requestBody is the body of a request on its way from the client to the application.
type requestBody struct {
	// length is zero without a body, and -1 if it is not known.
	length int64
	// source is what the client still sends; nil if there is nothing, or if all of it has been read: into small, or
	// stored.
	source io.Reader
	exact  exactBody
	small  []byte
	stored storedBody
}

// openBody finds out how long the request's body is.
func (x *exchange) openBody() error {
	r, b := x.req.http, &x.body
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}

	b.length, b.source = r.ContentLength, r.Body
	if b.length < 0 {
		return nil
	}

	b.exact = exactBody{r: r.Body, length: b.length, left: b.length}

	b.source = &b.exact
	if b.length > 0 {
		return nil
	}

	// By HTTP/2, a client that gives the length zero may still be about to end its request.
	reader := &x.client.reader
	*reader = pacedBody{client: &x.client, body: b.source}
	if len(r.Header["Content-Length"]) > 0 {
		reader = x.client.readPaced(b.source)
		defer reader.release()
	}

	_, err := reader.Read(nil)
	if errors.Is(err, io.EOF) {
		b.source = nil
		return nil
	}

	return err
}

// buffer reads the part of the body that must arrive before checkout: all of it, or nothing if it is to be streamed,
// since a small body may be as long on its way as a large one. A small one goes out with the head in one piece.
func (x *exchange) buffer() error {
	b, limit := &x.body, x.h.cfg.MaxRequestBody
	if limit > 0 && b.length > limit {
		return errBodyTooLarge
	}

	switch {
	case b.length == 0:
		return nil
	case x.h.cfg.StreamRequests:
		if limit > 0 {
			b.source = &limitedBody{r: b.source, left: limit}
		}

		return nil
	case b.length > 0 && b.length <= copyBufferSize:
		x.setState(StateBuffering)
		return b.readSmall(&x.client, &x.scratch)
	}

	return x.bufferAll()
}

// mustBuffer reports whether a body was to be streamed, but the process takes only bodies with a length.
func (x *exchange) mustBuffer() bool { return x.body.length < 0 && !x.upstream.speaksHTTP() }

// bufferAll reads the body to its end, which gives it a length.
func (x *exchange) bufferAll() error {
	x.setState(StateBuffering)
	return x.body.readAll(&x.client, &x.scratch)
}

// readSmall reads a body of known length into memory.
func (b *requestBody) readSmall(c *client, s *scratch) error {
	c.openAccount()
	if err := c.reserve(inMemory, b.length); err != nil {
		return err
	}

	b.small = s.borrow(int(b.length))[:b.length]
	reader := c.readPaced(b.source)
	defer reader.release()

	for n := 0; ; {
		m, err := reader.Read(b.small[n:])
		n += m

		switch {
		// exactBody returns it at the very end.
		case errors.Is(err, io.EOF):
			b.source = nil
			c.received.Store(b.length)
			return nil
		case err != nil:
			return err
		}
	}
}

// readAll reads the body to its end, into memory and then into a file.
func (b *requestBody) readAll(c *client, s *scratch) error {
	c.openAccount()

	reader := c.readPaced(b.source)
	defer reader.release()

	limit := c.req.h.cfg.MaxRequestBody
	for {
		readErr, err := b.readPiece(reader, c, s)
		if err != nil {
			return err
		}

		length := b.stored.length()
		c.received.Store(length)

		switch {
		case limit > 0 && length > limit:
			return errBodyTooLarge
		case errors.Is(readErr, io.EOF):
			b.length, b.source = length, nil
			return nil
		case readErr != nil:
			return readErr
		}
	}
}

// readPiece reads once. err is an error of storing.
func (b *requestBody) readPiece(reader io.Reader, c *client, s *scratch) (readErr, err error) {
	had := b.stored.memory.capacity()

	to := b.stored.space(b.length)
	if err := c.reserve(inMemory, b.stored.memory.capacity()-had); err != nil {
		return nil, err
	}

	if to != nil {
		n, readErr := reader.Read(to)
		b.stored.inMem += n
		return readErr, nil
	}

	// The memory that the file's part is read into counts, too.
	if b.stored.file == nil {
		if err := c.reserve(inMemory, maxMemory); err != nil {
			return nil, err
		}
	}

	to = s.borrow(maxMemory)
	n, readErr := reader.Read(to)

	if err := c.reserve(onDisk, int64(n)); err != nil {
		return nil, err
	}

	if err := b.stored.spill(c.req.h.cfg.DataBufferDir, to[:n]); err != nil {
		c.req.h.logBufferError(err)
		return nil, fmt.Errorf("%w: %w", errNoSpace, err)
	}

	return readErr, nil
}

// limitedBody fails where a streamed body exceeds its limit.
type limitedBody struct {
	r    io.Reader
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errBodyTooLarge
	}

	return n, err
}

// exactBody is a body that has to be as long as the request's head says. net/http makes sure of the client's; one that
// middleware has put in its place may be longer or shorter, and what the application got would be cut, or taken for the
// beginning of its next request.
type exactBody struct {
	r            io.Reader
	length, left int64
	one          [1]byte
}

// Read returns io.EOF with the last byte, or after it, and only if nothing follows.
func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.end()
	}

	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])

	b.left -= int64(n)
	switch {
	case b.left == 0 && (err == nil || errors.Is(err, io.EOF)):
		return n, b.end()
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("%w: it ends after %d bytes of %d", errBodyLength, b.length-b.left, b.length)
	}

	return n, err
}

// maxEmptyReads bounds how often a reader may return nothing, and no error.
const maxEmptyReads = 100

// end makes sure that nothing follows.
func (b *exactBody) end() error {
	for range maxEmptyReads {
		n, err := b.r.Read(b.one[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: it has more than %d bytes", errBodyLength, b.length)
		case err != nil:
			return err
		}
	}

	return io.ErrNoProgress
}
