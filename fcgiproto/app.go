package fcgiproto

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Conn is the application's side of a connection. It is not safe for concurrent use.
type Conn struct {
	in  *bufio.Reader
	out io.Writer
	// keep reports whether the server wants to send another request.
	keep bool
	last *Request
}

// NewConn returns the application's side of rw.
func NewConn(rw io.ReadWriter) *Conn { return &Conn{in: bufio.NewReader(rw), out: rw, keep: true} }

// Request is a request that an application has got. Its methods may be called until the next Accept.
type Request struct {
	// Params are the parameters, those of CGI.
	Params map[string]string
	// KeepConn reports whether the server wants to send another request by the connection.
	KeepConn bool

	conn *Conn
	id   uint16
	// stdin is the record that is being read.
	stdin    header
	stdinErr error
	ended    bool
}

// Accept reads the next request up to its body. io.EOF means that the server sends no more, because it has closed the
// connection or because it did not ask to keep it. Accept itself responds to management records and to requests that
// cannot be served.
func (c *Conn) Accept() (*Request, error) {
	if err := c.finishLast(); err != nil {
		return nil, err
	}

	for {
		h, err := c.readHeader()
		if err != nil {
			return nil, err
		}

		switch {
		// A question about the application itself, as GET_VALUES.
		case h.id == 0:
			err = c.reply(&h)
		case h.kind == typeBeginRequest:
			var r *Request
			if r, err = c.begin(&h); r != nil {
				c.last = r
				return r, nil
			}

			// The request was refused, and there will be no other one.
			if err == nil && !c.keep {
				return nil, io.EOF
			}
		case h.kind == typeAbortRequest, h.kind == typeStdin, h.kind == typeParams, h.kind == typeData:
			// Section 3.3: records of a request that is not active are ignored.
			err = c.skip(h.size())
		default:
			err = malformed("type %d", h.kind)
		}

		if err != nil {
			return nil, noEOF(err)
		}
	}
}

// finishLast skips what the application has not read of the request before.
func (c *Conn) finishLast() error {
	r := c.last
	if r == nil {
		return nil
	}

	c.last = nil
	if !c.keep {
		return io.EOF
	}

	if _, err := io.Copy(io.Discard, r.Stdin()); err != nil && !errors.Is(err, ErrAborted) {
		return err
	}

	return nil
}

// begin reads the parameters of a request. A nil request without an error was refused.
func (c *Conn) begin(h *header) (*Request, error) {
	var body [bodySize]byte
	if err := c.readBody(h, body[:]); err != nil {
		return nil, err
	}

	c.keep = body[2]&flagKeepConn != 0
	r := &Request{conn: c, id: h.id, KeepConn: c.keep}

	if role := binary.BigEndian.Uint16(body[:]); role != roleResponder {
		return nil, r.End(0, UnknownRole)
	}

	block, err := c.readParams(h.id)
	if err == nil {
		r.Params, err = decodeParams(block)
	}

	if err != nil {
		return nil, err
	}

	return r, nil
}

// readParams reads the stream of parameters.
func (c *Conn) readParams(id uint16) (block []byte, err error) {
	for {
		h, err := c.readRecordOf(id)
		switch {
		case err != nil:
			return nil, noEOF(err)
		case h.kind == typeAbortRequest:
			return nil, ErrAborted
		case h.kind != typeParams:
			return nil, malformed("type %d among the parameters", h.kind)
		case len(block)+h.content > MaxParams:
			return nil, ErrTooLarge
		}

		from := len(block)
		block = append(block, make([]byte, h.content)...)
		if _, err := io.ReadFull(c.in, block[from:]); err != nil {
			return nil, noEOF(err)
		}

		if err := c.skip(h.padding); err != nil {
			return nil, err
		}

		if h.content == 0 {
			return block, nil
		}
	}
}

// readRecordOf reads the header of the next record of a request, and responds to others.
func (c *Conn) readRecordOf(id uint16) (header, error) {
	for {
		h, err := c.readHeader()
		switch {
		case err != nil || h.id == id && h.kind != typeBeginRequest:
			return h, err
		case h.id == 0:
			err = c.reply(&h)
		case h.id == id:
			return h, malformed("BEGIN_REQUEST within its request")
		case h.kind == typeBeginRequest:
			other := &Request{conn: c, id: h.id}
			if err = c.skip(h.size()); err == nil {
				err = other.End(0, CannotMultiplex)
			}
		default:
			err = c.skip(h.size())
		}

		if err != nil {
			return h, err
		}
	}
}

// reply responds to a management record, section 4.
func (c *Conn) reply(h *header) error {
	if h.kind != typeGetValues {
		if err := c.skip(h.size()); err != nil {
			return err
		}

		body := append(appendHeader(nil, typeUnknownType, 0, bodySize), h.kind, 0, 0, 0, 0, 0, 0, 0)
		_, err := c.out.Write(body)

		return err
	}

	block := make([]byte, h.content)
	if _, err := io.ReadFull(c.in, block); err != nil {
		return err
	}

	if err := c.skip(h.padding); err != nil {
		return err
	}

	asked, err := decodeParams(block)
	if err != nil {
		return err
	}

	var pairs []byte
	for _, value := range [][2]string{{maxConns, "1"}, {"FCGI_MAX_REQS", "1"}, {"FCGI_MPXS_CONNS", "0"}} {
		if _, ok := asked[value[0]]; ok {
			pairs = appendLength(appendLength(pairs, len(value[0])), len(value[1]))
			pairs = append(append(pairs, value[0]...), value[1]...)
		}
	}

	_, err = c.out.Write(append(appendHeader(nil, typeGetValuesResult, 0, len(pairs)), pairs...))

	return err
}

// readHeader returns io.EOF if the connection ended before the record.
func (c *Conn) readHeader() (header, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return header{}, err
	}

	return parseHeader(b[:])
}

// readBody reads a content of fixed size.
func (c *Conn) readBody(h *header, to []byte) error {
	if h.content != len(to) {
		return malformed("%d bytes instead of %d in a record of type %d", h.content, len(to), h.kind)
	}

	if _, err := io.ReadFull(c.in, to); err != nil {
		return noEOF(err)
	}

	return c.skip(h.padding)
}

func (c *Conn) skip(n int) error {
	_, err := c.in.Discard(n)
	return noEOF(err)
}

// noEOF is for the end of a connection within something.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}

	return err
}

// decodeParams takes a block of names and values apart.
func decodeParams(block []byte) (map[string]string, error) {
	params := map[string]string{}
	for len(block) > 0 {
		name, rest, ok := cutLength(block)
		if !ok {
			return nil, malformed("a length that is cut off")
		}

		value, rest, ok := cutLength(rest)
		switch {
		case !ok:
			return nil, malformed("a length that is cut off")
		case name == 0:
			return nil, ErrEmptyName
		case name > len(rest) || value > len(rest)-name:
			return nil, malformed("a parameter that is cut off")
		}

		key := string(rest[:name])
		if _, twice := params[key]; twice {
			return nil, fmt.Errorf("%w: %.40q", ErrDuplicate, key)
		}

		params[key] = string(rest[name : name+value])
		block = rest[name+value:]
	}

	return params, nil
}

// cutLength reads a length of section 3.4.
func cutLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) == 0:
		return 0, nil, false
	case b[0] < longLength:
		return int(b[0]), b[1:], true
	case len(b) < 4:
		return 0, nil, false
	}

	return int(binary.BigEndian.Uint32(b) &^ (1 << 31)), b[4:], true
}

// Stdin returns the body of the request, which ends with io.EOF. ErrAborted means that the server wants no response.
func (r *Request) Stdin() io.Reader { return (*stdin)(r) }

type stdin Request

func (s *stdin) Read(p []byte) (int, error) {
	r, c := (*Request)(s), s.conn
	if len(p) == 0 {
		return 0, nil
	}

	for r.stdinErr == nil && r.stdin.content == 0 {
		r.stdinErr = r.nextStdin()
	}

	if r.stdinErr != nil {
		return 0, r.stdinErr
	}

	n, err := c.in.Read(p[:min(len(p), r.stdin.content)])

	r.stdin.content -= n
	if n > 0 {
		return n, nil
	}

	r.stdinErr = noEOF(err)

	return n, r.stdinErr
}

// nextStdin reads the header of the next record of the body.
func (r *Request) nextStdin() error {
	if err := r.conn.skip(r.stdin.padding); err != nil {
		return err
	}

	r.stdin = header{}

	h, err := r.conn.readRecordOf(r.id)
	switch {
	case err != nil:
		return noEOF(err)
	case h.kind == typeAbortRequest:
		return errors.Join(r.conn.skip(h.size()), ErrAborted)
	case h.kind != typeStdin:
		return malformed("type %d within the body", h.kind)
	}

	if r.stdin = h; h.content > 0 {
		return nil
	}

	if err := r.conn.skip(h.padding); err != nil {
		return err
	}

	return io.EOF
}

// Stdout writes a part of the response: a head as that of CGI, an empty line, and the body.
func (r *Request) Stdout(p []byte) error { return r.write(typeStdout, p) }

// Stderr writes text for the log of the server.
func (r *Request) Stderr(p []byte) error { return r.write(typeStderr, p) }

func (r *Request) write(kind byte, p []byte) error {
	if r.ended {
		return errEnded
	}

	_, err := r.conn.out.Write(appendRecords(nil, kind, r.id, p))

	return err
}

var errEnded = errors.New("fcgiproto: the request has ended")

// End ends the request. The caller closes the connection if KeepConn is not set.
func (r *Request) End(appStatus uint32, status ProtocolStatus) error {
	if r.ended {
		return errEnded
	}

	r.ended = true
	b := appendHeader(nil, typeEndRequest, r.id, bodySize)
	b = binary.BigEndian.AppendUint32(b, appStatus)
	_, err := r.conn.out.Write(append(b, byte(status), 0, 0, 0))

	return err
}
