package fcgiproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Encoder builds requests, and reuses its memory: [Encoder.Begin], then parameters, then [Encoder.EndParams], then the
// body or its beginning. The zero value is ready for use. It is not safe for concurrent use.
//
// No pair of a name and a value lies in two records, since PHP reads each record by itself.
type Encoder struct {
	buf   []byte
	names []span
	// record is where the header of the last record of parameters is.
	record int
	params int
	err    error
}

type span struct{ from, to int }

// Begin removes everything and begins a request. keepConn asks the application to leave the connection open.
func (e *Encoder) Begin(keepConn bool) {
	flags := byte(0)
	if keepConn {
		flags = flagKeepConn
	}

	e.buf = appendHeader(e.buf[:0], typeBeginRequest, requestID, bodySize)
	e.buf = append(e.buf, 0, roleResponder, flags, 0, 0, 0, 0, 0)
	e.names, e.params, e.err = e.names[:0], 0, nil
	e.openRecord()
}

// Add appends a parameter. [Encoder.Bytes] returns the first error; after it, further calls do nothing.
func (e *Encoder) Add(name, value string) { e.add("", name, value) }

// AddHeader appends an HTTP header as HTTP_NAME: in upper case, with '-' as '_'. The caller must check that the name
// consists of letters, digits and dashes; other names could collide (CVE-2015-7519).
func (e *Encoder) AddHeader(name, value string) { e.add("HTTP_", name, value) }

func (e *Encoder) add(prefix, name, value string) {
	if e.err != nil {
		return
	}

	named := len(prefix) + len(name)

	size := lengthSize(named) + lengthSize(len(value)) + named + len(value)
	switch {
	case name == "":
		e.err = ErrEmptyName
		return
	case e.params+size > MaxParams || size > MaxContent:
		e.err = fmt.Errorf("%w: %.40q", ErrTooLarge, name)
		return
	}

	// The pair would lie in two records.
	if len(e.buf)-e.record-headerSize+size > MaxContent {
		e.closeRecord()
		e.openRecord()
	}

	e.params += size
	e.buf = appendLength(e.buf, named)
	e.buf = appendLength(e.buf, len(value))

	from := len(e.buf)
	e.buf = append(append(e.buf, prefix...), name...)
	if prefix != "" {
		upper(e.buf[from+len(prefix):])
	}

	e.names = append(e.names, span{from, len(e.buf)})
	e.buf = append(e.buf, value...)
}

// upper writes the name of a field as CGI does.
func upper(name []byte) {
	for i, c := range name {
		switch {
		case 'a' <= c && c <= 'z':
			name[i] = c - ('a' - 'A')
		case c == '-':
			name[i] = '_'
		}
	}
}

func (e *Encoder) openRecord() {
	e.record = len(e.buf)
	e.buf = appendHeader(e.buf, typeParams, requestID, 0)
}

func (e *Encoder) closeRecord() {
	content := len(e.buf) - e.record - headerSize
	//nolint:gosec // G115: add keeps it under MaxContent
	binary.BigEndian.PutUint16(e.buf[e.record+4:], uint16(content))
}

// EndParams ends the parameters.
func (e *Encoder) EndParams() {
	if len(e.buf) > e.record+headerSize {
		e.closeRecord()
		// An empty one is the end of the stream.
		e.openRecord()
	}

	if e.err == nil {
		e.err = e.checkNames()
	}
}

// checkNames sorts the names, because clients choose how many there are.
func (e *Encoder) checkNames() error {
	slices.SortFunc(e.names, func(a, b span) int { return bytes.Compare(e.name(a), e.name(b)) })

	for i := 1; i < len(e.names); i++ {
		if name := e.name(e.names[i]); bytes.Equal(name, e.name(e.names[i-1])) {
			return fmt.Errorf("%w: %s", ErrDuplicate, name)
		}
	}

	return nil
}

func (e *Encoder) name(s span) []byte { return e.buf[s.from:s.to] }

// Stdin appends a part of the body.
func (e *Encoder) Stdin(body []byte) { e.buf = appendRecords(e.buf, typeStdin, requestID, body) }

// EndStdin ends the body.
func (e *Encoder) EndStdin() { e.buf = appendHeader(e.buf, typeStdin, requestID, 0) }

// Bytes returns the request as far as it was made. It is valid until the next call of a method.
func (e *Encoder) Bytes() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}

	return e.buf, nil
}

// longLength is the first length that takes four bytes.
const longLength = 1 << 7

func lengthSize(n int) int {
	if n < longLength {
		return 1
	}

	return 4
}

// appendLength appends a length of section 3.4.
func appendLength(b []byte, n int) []byte {
	if n < longLength {
		return append(b, byte(n)) //nolint:gosec // G115: it is small
	}

	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31) //nolint:gosec // G115: add keeps it under MaxContent
}

// StdinWriter writes a body that follows what an [Encoder] has made, piece by piece.
type StdinWriter struct {
	w   io.Writer
	buf []byte
}

// NewStdinWriter returns a writer of the records of a body to w.
func NewStdinWriter(w io.Writer) *StdinWriter { return &StdinWriter{w: w} }

// Write writes a part of the body. After an error, the connection is of no use.
func (s *StdinWriter) Write(p []byte) (int, error) {
	for written := 0; written < len(p); {
		n := min(len(p)-written, maxAligned)

		s.buf = appendRecords(s.buf[:0], typeStdin, requestID, p[written:written+n])
		if _, err := s.w.Write(s.buf); err != nil {
			return written, err
		}

		written += n
	}

	return len(p), nil
}

// Close ends the body. It leaves the connection open.
func (s *StdinWriter) Close() error {
	_, err := s.w.Write(appendHeader(s.buf[:0], typeStdin, requestID, 0))
	return err
}

// Abort returns the record that aborts the request.
func Abort() []byte { return appendHeader(nil, typeAbortRequest, requestID, 0) }

// GetValues returns the record that asks an application for its values, which shows that it takes connections and
// speaks the protocol. The first byte of any response, or the end of the connection, shows that it was read.
func GetValues() []byte {
	pair := append([]byte{byte(len(maxConns)), 0}, maxConns...)

	return append(appendHeader(nil, typeGetValues, 0, len(pair)), pair...)
}

// maxConns is a value that applications may be asked for: the connections that they take at once.
const maxConns = "FCGI_MAX_CONNS"
