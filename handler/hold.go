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

// heldBody is the beginning of an answer's body, or all of it.
type heldBody struct {
	data   []byte
	memory *[memorySize]byte // what data is in, if not in the exchange's buffer
}

// hold reads the body as far as it is there already, or to its end if that is
// near: so it goes out in one piece, and its process has been let go. Where a body
// has no known length, what is not there yet is waited for only if all of it is
// wanted.
func (x *exchange) hold(wanted bool) (b heldBody, whole bool, err error) {
	p := &x.resp
	if p.length == 0 && !p.chunked {
		p.complete = true
		return b, true, nil
	}
	r := x.reader()
	if p.length > memorySize {
		return b, false, nil
	}
	to := x.buf
	if p.length > int64(len(to)) || wanted && p.length < 0 {
		b.memory = newMemory()
		to = b.memory[:]
	}
	waits := x.buffers() && (p.length > 0 || wanted)
	for len(b.data) < len(to) {
		if x.br.Buffered() == 0 && (!waits || !x.comes()) {
			return b, false, nil
		}
		n, err := r.Read(to[len(b.data):])
		b.data = to[:len(b.data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, true, nil
		case err != nil:
			return b, false, err
		}
	}
	return b, false, nil
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
