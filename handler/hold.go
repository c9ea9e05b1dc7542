package handler

import (
	"errors"
	"io"
	"os"
	"time"
)

// holdTime is how long the first part of a body with a known length is waited
// for, so that it goes out in one piece.
const holdTime = 10 * time.Millisecond

// hold reads the body as far as it is there already, or to its end if that is
// near: so it goes out in one piece, and its process has been let go. Where a body
// has no known length, what is not there yet is waited for only if all of it is
// wanted.
func (x *exchange) hold(wanted bool) (held []byte, whole bool, err error) {
	p := &x.resp
	if p.length == 0 && !p.chunked {
		p.complete = true
		return nil, true, nil
	}

	r := x.reader()
	if p.length > mostMemory {
		return nil, false, nil
	}

	size := int(p.length)
	if p.length < 0 {
		size = copyBufferSize
	}

	to := x.scratch(size)

	waits := x.buffers() && (p.length > 0 || wanted)
	for len(held) < len(to) {
		if x.br.Buffered() == 0 && (!waits || !x.comes()) {
			return held, false, nil
		}

		n, err := r.Read(to[len(held):])

		held = to[:len(held)+n]
		switch {
		case errors.Is(err, io.EOF):
			return held, true, nil
		case err != nil:
			return held, false, err
		}
	}

	return held, false, nil
}

// comes waits for the next bytes of the answer, or its end, for a moment.
func (x *exchange) comes() bool {
	_ = x.conn.SetReadDeadline(time.Now().Add(holdTime))
	_, err := x.br.Peek(1)
	_ = x.conn.SetReadDeadline(time.Time{})
	if x.ctx.Err() != nil {
		cut(x.conn) // it may have been before
	}

	return !errors.Is(err, os.ErrDeadlineExceeded)
}
