package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"strings"
	"time"
)

// readHead reads the head of a response.
func (u *upstream) readHead(maxSize int) error {
	if u.speaksFastCGI() {
		return u.readCGIHead(maxSize)
	}

	head, err := u.readHeadText(maxSize)
	if err != nil {
		return err
	}

	return u.response.parse(head)
}

// readHeadText reads up to the empty line, which it includes.
func (u *upstream) readHeadText(maxSize int) (string, error) {
	end := []byte("\r\n\r\n")

	u.buf = u.buf[:0]
	for {
		if _, err := u.reader.Peek(1); err != nil {
			return "", fmt.Errorf("%w: in its head: %w", errAppDied, err)
		}

		// The end may lie across two pieces.
		piece, _ := u.reader.Peek(u.reader.Buffered())
		from := max(len(u.buf)-len(end)+1, 0)
		seen := len(u.buf)
		u.buf = append(u.buf, piece...)

		if i := bytes.Index(u.buf[from:], end); i >= 0 {
			size := from + i + len(end)
			// Of what is buffered.
			_, _ = u.reader.Discard(size - seen)
			u.buf = u.buf[:size]
			if size > maxSize {
				return "", malformed("its head is over %d bytes", maxSize)
			}

			return string(u.buf), nil
		}

		if len(u.buf) > maxSize {
			return "", malformed("its head is over %d bytes", maxSize)
		}

		_, _ = u.reader.Discard(len(piece))
	}
}

// responseBody reads the body of a response and notes its end.
type responseBody struct {
	upstream *upstream
	chunks   io.Reader // of a chunked body
	left     int64     // of a body with a length
}

// openBody begins to read the response's body.
func (u *upstream) openBody() {
	u.body = responseBody{upstream: u, left: u.response.length}
	if u.response.chunked {
		u.body.chunks = httputil.NewChunkedReader(u.reader)
	}
}

// Read returns io.EOF at the end of the body, and another error if the connection ends before it.
func (b *responseBody) Read(p []byte) (n int, err error) {
	u := b.upstream

	switch {
	case b.chunks != nil:
		n, err = b.chunks.Read(p)
		if errors.Is(err, io.EOF) {
			err = u.skipTrailer()
		}
	case b.left == 0 && u.speaksFastCGI():
		// All of it was read, and the process may still be at work.
		_, _ = u.reader.Peek(1)
		err = io.EOF
	case b.left >= 0:
		n, err = u.reader.Read(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 {
			err = nil
			if !u.speaksFastCGI() || u.hasEnded() {
				err = io.EOF
			}
		} else if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	default:
		n, err = u.reader.Read(p)
		if errors.Is(err, io.EOF) && !u.speaksFastCGI() && u.wasKilled() {
			err = io.ErrUnexpectedEOF
		}
	}

	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		u.response.complete = true
	default:
		err = fmt.Errorf("%w: %w", errCutShort, err)
	}

	return n, err
}

// wasKilled reports whether the end of the connection is that of a process that a signal has ended: the system has
// closed the connection, and not the application, so what came of a body without a length is not all of it.
func (u *upstream) wasKilled() bool { return strings.HasPrefix(u.session.AwaitEnd(), "signal: ") }

// maxTrailer bounds what may follow the last chunk of a response.
const maxTrailer = 16 << 10

// skipTrailer reads what follows the last chunk. It is dropped, but has to end in order.
func (u *upstream) skipTrailer() error {
	for size := 0; size <= maxTrailer; {
		line, err := u.reader.ReadSlice('\n')
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

// readAhead reads into buf what is there of the body already. It waits for what is not there only if wait is set, and
// for a moment. whole reports whether the body ended.
func (u *upstream) readAhead(ctx context.Context, buf []byte, wait bool) (held []byte, whole bool, err error) {
	for len(held) < len(buf) {
		if u.reader.Buffered() == 0 && !u.hasEnded() && (!wait || !u.await(ctx)) {
			return held, false, nil
		}

		n, err := u.body.Read(buf[len(held):])

		held = buf[:len(held)+n]
		switch {
		case errors.Is(err, io.EOF):
			return held, true, nil
		case err != nil:
			return held, false, err
		}
	}

	return held, false, nil
}

// awaitTime is how long await waits.
const awaitTime = 10 * time.Millisecond

// await waits for the next bytes of the response, or its end, and reports whether they came.
func (u *upstream) await(ctx context.Context) bool {
	_ = u.conn.SetReadDeadline(time.Now().Add(awaitTime))
	_, err := u.reader.Peek(1)
	_ = u.conn.SetReadDeadline(time.Time{})

	// The watch over the client may have interrupted the connection in between.
	if ctx.Err() != nil {
		interrupt(u.conn)
	}

	return !errors.Is(err, os.ErrDeadlineExceeded)
}
