package scgi

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	inputSize = 8 << 10
	// maxExtra is how many bytes that belong to no request are read while its
	// handler runs.
	maxExtra = 64 << 10
	// drainTime is how long an unread body is read after the
	// response, so that the web server gets that before the connection is reset.
	drainTime = time.Second
)

var inputs = sync.Pool{New: func() any {
	b := make([]byte, inputSize)
	return &b
}}

// input is what the web server says on a connection: one request.
//
// The last bytes of it are left in the socket until the response is complete, if
// that can be: a Unix socket that is closed with something unread in it is reset,
// which the web server can tell from a response that has ended. The same happens
// when the process dies.
type input struct {
	conn net.Conn
	raw  syscall.RawConn // nil means that nothing can be left in it
	own  *[]byte         // the pool's
	buf  []byte
	// buf[r:w] was not taken yet; the last held bytes received are in the
	// socket still.
	r, w, held int
	// unread is the part of the body that has not been received.
	unread int64
}

func newInput(c net.Conn) *input {
	own, _ := inputs.Get().(*[]byte)

	return &input{
		conn: c,
		raw:  rawConn(c),
		own:  own,
		buf:  *own,
	}
}

// more waits for bytes of the head.
func (in *input) more(limit int) error {
	// Otherwise peek would see the same bytes again.
	if err := in.letGo(); err != nil {
		return err
	}

	if in.w == len(in.buf) {
		larger := make([]byte, min(2*len(in.buf), limit))
		copy(larger, in.buf[:in.w])
		in.buf = larger
	}

	if in.raw == nil {
		n, err := in.conn.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			return nil
		}

		return err
	}

	n, err := peek(in.raw, in.buf[in.w:])
	in.w, in.held = in.w+n, n

	return err
}

// letGo takes what was left in the socket out of it.
func (in *input) letGo() error {
	if in.held == 0 {
		return nil
	}

	_, err := io.ReadFull(in.conn, in.buf[in.w-in.held:in.w])
	in.held = 0

	return err
}

// readHead returns the head. It calls began when the first bytes have come.
func (in *input) readHead(limit int, began func()) (head string, err error) {
	var f frame

	found := false
	for !found || in.w <= f.end {
		// The longest is the length's digits, a colon, the head and a comma.
		if err := in.more(digits(limit) + limit + 2); err != nil {
			return "", err
		}

		if began != nil {
			began()
			began = nil
		}

		if !found {
			if f, found, err = findFrame(in.buf[:in.w], limit); err != nil {
				return "", err
			}
		}
	}

	if in.buf[f.end] != ',' {
		return "", bad("the request's head does not end with a comma")
	}

	in.r = f.end + 1

	return string(in.buf[f.start:f.end]), nil
}

// setBody sets the length of the body.
func (in *input) setBody(length int64) error {
	here := int64(in.w - in.r)
	// In the place of these bytes, the last one of the body is left in the socket.
	if here < length {
		in.unread = length - here
		return in.letGo()
	}

	// What follows belongs to no request.
	in.w = in.r + int(length)

	return nil
}

// read reads the body.
func (in *input) read(p []byte) (n int, err error) {
	if in.r == in.w {
		switch {
		case in.unread == 0:
			return 0, io.EOF
		// A large p takes the bytes without a copy.
		case len(p) >= len(in.buf):
			return in.receive(p)
		}

		in.r, in.w = 0, 0
		n, err = in.receive(in.buf)
		in.w = n
	}

	n = copy(p, in.buf[in.r:in.w])
	in.r += n

	return n, err
}

// receive gets some of the body from the socket, and leaves its last byte there.
func (in *input) receive(p []byte) (n int, err error) {
	switch {
	case in.raw == nil:
		n, err = in.conn.Read(p[:min(int64(len(p)), in.unread)])
	// The last byte stays in the socket.
	case in.unread > 1:
		n, err = in.conn.Read(p[:min(int64(len(p)), in.unread-1)])
	default:
		n, err = peek(in.raw, p[:1])
		in.held = n
	}

	in.unread -= int64(n)
	if n > 0 {
		return n, nil
	}

	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}

	return n, err
}

// watch returns nil when the web server has closed the connection, whose request
// has arrived as a whole.
func (in *input) watch() error {
	if in.raw != nil {
		return waitGone(in.conn, in.raw)
	}

	var extra [512]byte
	// What belongs to no request must not keep this reading for ever.
	for left := maxExtra; left > 0; {
		n, err := in.conn.Read(extra[:])
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return err
		}

		left -= n
	}

	return nil
}

// finish reads the rest, after the response.
func (in *input) finish() {
	if err := in.conn.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
		return
	}

	for in.held > 0 {
		n, err := in.conn.Read((*in.own)[:min(in.held, inputSize)])
		if err != nil {
			return
		}

		in.held -= n
	}

	if in.unread == 0 {
		return
	}

	// A close now would reset the connection, and the web server might lose the response.
	if c, ok := in.conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}

	for {
		if _, err := in.conn.Read(*in.own); err != nil {
			return
		}
	}
}

// free gives the buffer back. It must not be used any more.
func (in *input) free() {
	if in.own != nil {
		inputs.Put(in.own)
		in.own, in.buf = nil, nil
	}
}
