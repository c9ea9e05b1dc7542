// Package fcgiproto is the codec of FastCGI 1.0, by which requests reach PHP.
//
// A server writes a request with an [Encoder] and reads the response with a [Reader]. An application takes requests
// from a [Conn], and responds by [Request]. A connection carries one request at a time, whose ID is 1: no application
// in use multiplexes. After a request with the flag to keep it open, it carries the next one.
//
// All lengths have limits, and memory grows with what arrived, not with the length that the peer announced. Protocol
// facts are those of the FastCGI Specification, document version 1.0, of 29 April 1996.
package fcgiproto

import (
	"encoding/binary"
	"errors"
)

// MaxParams limits the names and values of a request, in bytes with their lengths. It is that of package sessionproto.
const MaxParams = 128 << 10

// MaxContent limits the content of one record.
const MaxContent = 1<<16 - 1

// maxAligned is how much content records have that are written: a multiple of eight, as section 3.3 recommends.
const maxAligned = MaxContent &^ 7

// The record types of section 8.
const (
	typeBeginRequest    = 1
	typeAbortRequest    = 2
	typeEndRequest      = 3
	typeParams          = 4
	typeStdin           = 5
	typeStdout          = 6
	typeStderr          = 7
	typeData            = 8
	typeGetValues       = 9
	typeGetValuesResult = 10
	typeUnknownType     = 11
)

const (
	version1 = 1
	// requestID is that of every request.
	requestID     = 1
	roleResponder = 1
	flagKeepConn  = 1
	headerSize    = 8
	bodySize      = 8
)

// ProtocolStatus is how an application took a request.
type ProtocolStatus uint8

// The protocol statuses of section 5.5.
const (
	RequestComplete ProtocolStatus = iota
	CannotMultiplex
	Overloaded
	UnknownRole
)

// The errors of the two sides. Those of the connection are returned as they are.
var (
	ErrTooLarge  = errors.New("fcgiproto: parameters too large")
	ErrEmptyName = errors.New("fcgiproto: parameter without a name")
	ErrDuplicate = errors.New("fcgiproto: parameter written twice")
	ErrMalformed = errors.New("fcgiproto: malformed record")
	ErrAborted   = errors.New("fcgiproto: the server aborted the request")

	// The application has refused the request.
	ErrCannotMultiplex = errors.New("fcgiproto: the application has a request on this connection already")
	ErrOverloaded      = errors.New("fcgiproto: the application is overloaded")
	ErrUnknownRole     = errors.New("fcgiproto: the application is no responder")
)

// header is that of a record.
type header struct {
	kind    byte
	id      uint16
	content int
	padding int
}

func (h *header) size() int { return h.content + h.padding }

// appendHeader appends the header of a record without padding.
func appendHeader(b []byte, kind byte, id uint16, content int) []byte {
	b = append(b, version1, kind)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(content)) //nolint:gosec // G115: callers keep it under MaxContent

	return append(b, 0, 0)
}

// appendRecords appends content as records of a stream, none of them empty.
func appendRecords(b []byte, kind byte, id uint16, content []byte) []byte {
	for len(content) > 0 {
		n := min(len(content), maxAligned)
		b = append(appendHeader(b, kind, id, n), content[:n]...)
		content = content[n:]
	}

	return b
}

// parseHeader takes apart the first bytes of a record.
func parseHeader(b []byte) (header, error) {
	if b[0] != version1 {
		return header{}, malformed("version %d", b[0])
	}

	return header{
		kind:    b[1],
		id:      binary.BigEndian.Uint16(b[2:]),
		content: int(binary.BigEndian.Uint16(b[4:])),
		padding: int(b[6]),
	}, nil
}
