package fcgiproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// readSize is how much a reader asks the connection for when it knows of no content.
	readSize = 8 << 10
	// maxLine bounds a line of the error stream; a longer one comes in pieces.
	maxLine = 8 << 10
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Reader reads the response to one request: it is the standard output of the application, which ends with io.EOF when
// the application has ended the request. Reset makes it ready for use. It is not safe for concurrent use.
//
// An error of the connection is returned as it is, and reading may be tried again after it. The end of the connection
// before that of the request is io.ErrUnexpectedEOF.
type Reader struct {
	src    io.Reader
	stderr func(line []byte)

	buf  []byte
	r, w int
	// current is the record that is being read, of which content and padding are still to come; none has a kind of 0.
	current header
	// stdoutEnded and stderrEnded report whether the application has ended the stream.
	stdoutEnded, stderrEnded bool
	line                     []byte
	// end is the content of END_REQUEST.
	end    [bodySize]byte
	endLen int
	// ended is the result once there is one: io.EOF after a request that is complete.
	ended error
}

// Reset begins with the next response, which src has. stderr gets each line of the error stream, without its end, at
// most 8 KiB at a time; the line is valid during the call. nil means that it is dropped.
func (r *Reader) Reset(src io.Reader, stderr func(line []byte)) {
	*r = Reader{
		src:    src,
		stderr: stderr,
		buf:    r.buf,
		line:   r.line[:0],
	}
	// A reader serves one connection after another, and keeps its memory.
	if r.buf == nil {
		r.buf = make([]byte, readSize)
	}
}

// Ended reports whether the application has ended the request, in whatever way, as far as that was read.
func (r *Reader) Ended() bool { return r.ended != nil }

// IsReusable reports whether the connection can carry another request: this one is complete, and nothing follows.
func (r *Reader) IsReusable() bool { return errors.Is(r.ended, io.EOF) && r.r == r.w }

// AppStatus returns the exit status that the application has given to a request that has ended.
func (r *Reader) AppStatus() uint32 { return binary.BigEndian.Uint32(r.end[:]) }

// Read reads from the standard output of the application. It returns what is there, and waits only for the first byte.
func (r *Reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}

	for n < len(p) {
		done, err := r.step(p[n:], n > 0)

		n += done
		switch {
		case err != nil && n > 0 && !errors.Is(err, io.EOF):
			return n, nil // it comes again
		case err != nil:
			return n, err
		case n > 0 && !r.hasMore():
			return n, nil
		}
	}

	r.lookAhead()

	return n, nil
}

// lookAhead notes the end of the request if it is there already, as it often comes with the last bytes. A caller that
// knows the length of the body should not have to read again for it.
func (r *Reader) lookAhead() {
	for r.ended == nil && r.hasMore() && (r.current.kind != typeStdout || r.current.content == 0) {
		if _, err := r.step(nil, true); err != nil {
			return // the next read returns it
		}
	}
}

// hasMore reports whether there is a step that needs nothing from the connection.
func (r *Reader) hasMore() bool { return r.r < r.w || r.current.kind != 0 && r.current.size() == 0 }

// step takes one step: more bytes from the connection, a header, or content. buffered means that it must not wait.
func (r *Reader) step(p []byte, buffered bool) (n int, err error) {
	if r.ended != nil {
		return 0, r.ended
	}

	if r.current.kind == 0 {
		return 0, r.readHeader(buffered)
	}

	if r.current.content > 0 {
		return r.readContent(p, buffered)
	}

	if r.current.padding > 0 {
		if r.r == r.w && !buffered {
			return 0, r.fill()
		}

		skipped := min(r.current.padding, r.w-r.r)
		r.r += skipped
		r.current.padding -= skipped
	}

	// There was no padding, or all of it has come.
	if r.current.padding == 0 {
		return 0, r.endRecord()
	}

	return 0, nil
}

// fill reads what the connection has.
func (r *Reader) fill() error {
	// What is left is moved only when there is no room behind it.
	if r.r == r.w {
		r.r, r.w = 0, 0
	} else if r.w == len(r.buf) {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}

	n, err := r.src.Read(r.buf[r.w:])

	r.w += n
	if n > 0 {
		return nil // an error comes again
	}

	return r.sourceError(err)
}

func (r *Reader) sourceError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		r.ended = io.ErrUnexpectedEOF
		return r.ended
	}

	return err
}

func (r *Reader) readHeader(buffered bool) error {
	if r.w-r.r < headerSize {
		if buffered {
			// Nothing of a whole header is there: Read ends here.
			return errIncomplete
		}

		return r.fill()
	}

	h, err := parseHeader(r.buf[r.r : r.r+headerSize])
	if err == nil {
		err = r.checkHeader(&h)
	}

	if err != nil {
		r.ended = err
		return err
	}

	r.r += headerSize
	r.current = h

	return nil
}

// errIncomplete ends a read that has something to return.
var errIncomplete = errors.New("fcgiproto: nothing more is there")

func (r *Reader) checkHeader(h *header) error {
	// Each connection has one request at a time, and nothing was asked about the application itself (ID 0).
	if h.id != requestID {
		return malformed("request ID %d", h.id)
	}

	switch h.kind {
	case typeStdout:
		if r.stdoutEnded {
			return malformed("standard output after its end")
		}

		r.stdoutEnded = h.content == 0
	case typeStderr:
		if r.stderrEnded {
			return malformed("standard error after its end")
		}

		r.stderrEnded = h.content == 0
	case typeEndRequest:
		if h.content != bodySize {
			return malformed("END_REQUEST of %d bytes", h.content)
		}
	default:
		return malformed("type %d", h.kind)
	}

	return nil
}

func (r *Reader) readContent(p []byte, buffered bool) (n int, err error) {
	if r.r == r.w {
		switch {
		case buffered:
			return 0, errIncomplete
		case r.current.kind == typeStdout && len(p) >= readSize:
			// What is long goes where it belongs.
			n, err = r.src.Read(p[:min(len(p), r.current.content)])
			r.current.content -= n
			if n > 0 {
				err = nil
			}

			return n, r.sourceError(err)
		}

		return 0, r.fill()
	}

	content := r.buf[r.r:min(r.w, r.r+r.current.content)]
	switch r.current.kind {
	case typeStdout:
		n = copy(p, content)
		content = content[:n]
	case typeStderr:
		r.addStderr(content)
	case typeEndRequest:
		r.endLen += copy(r.end[r.endLen:], content)
	}

	r.r += len(content)
	r.current.content -= len(content)

	return n, nil
}

// endRecord is called when all of a record was read.
func (r *Reader) endRecord() error {
	kind := r.current.kind
	r.current = header{}

	if kind != typeEndRequest {
		return nil
	}

	// The last line of the error stream may have no end.
	if len(r.line) > 0 {
		r.flushLine()
	}

	switch status := ProtocolStatus(r.end[4]); status {
	case RequestComplete:
		r.ended = io.EOF
	case CannotMultiplex:
		r.ended = ErrCannotMultiplex
	case Overloaded:
		r.ended = ErrOverloaded
	case UnknownRole:
		r.ended = ErrUnknownRole
	default:
		r.ended = malformed("protocol status %d", status)
	}

	return r.ended
}

// addStderr cuts the error stream into lines.
func (r *Reader) addStderr(p []byte) {
	if r.stderr == nil {
		return
	}

	for _, c := range p {
		if c == '\n' {
			r.flushLine()
			continue
		}

		r.line = append(r.line, c)
		// A line without an end would take all memory.
		if len(r.line) == maxLine {
			r.flushLine()
		}
	}
}

func (r *Reader) flushLine() {
	if n := len(r.line); n > 0 && r.line[n-1] == '\r' {
		r.line = r.line[:n-1]
	}

	r.stderr(r.line)
	r.line = r.line[:0]
}
