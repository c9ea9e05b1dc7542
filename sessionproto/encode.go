package sessionproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of an [Encoder] for a header that cannot be sent.
var (
	ErrTooLarge  = errors.New("sessionproto: header block too large")
	ErrNUL       = errors.New("sessionproto: NUL in a name or value, or an empty name")
	ErrDuplicate = errors.New("sessionproto: name written twice")
)

// Encoder builds header blocks, and reuses its memory. The zero value is ready for use. It is not
// safe for concurrent use.
type Encoder struct {
	buf   []byte
	names []span
	err   error
}

type span struct{ from, to int }

// Reset removes everything that was added.
func (e *Encoder) Reset() {
	e.buf, e.names, e.err = append(e.buf[:0], 0, 0, 0, 0), e.names[:0], nil
}

// Add appends a pair. [Encoder.Bytes] returns the first error; after it, further calls do nothing.
func (e *Encoder) Add(name, value string) {
	e.add("", name, value)
}

// AddHeader appends an HTTP header as HTTP_NAME: in upper case, with '-' as '_'. The caller must
// check that the name consists of letters, digits and dashes; other names could collide
// (CVE-2015-7519).
func (e *Encoder) AddHeader(name, value string) {
	e.add("HTTP_", name, value)
}

func (e *Encoder) add(prefix, name, value string) {
	if e.err != nil {
		return
	}

	if len(e.buf) == 0 {
		e.Reset()
	}

	if len(e.buf)+len(prefix)+len(name)+len(value)+2 > MaxHeader+lengthSize {
		e.err = ErrTooLarge
		return
	}

	// What follows a NUL would be read as another name or value.
	if name == "" || strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
		e.err = fmt.Errorf("%w: %q", ErrNUL, name)
		return
	}

	from := len(e.buf)
	e.buf = append(e.buf, prefix...)
	if prefix == "" {
		e.buf = append(e.buf, name...)
	} else {
		for i := range len(name) {
			c := name[i]
			switch {
			case 'a' <= c && c <= 'z':
				c -= 'a' - 'A'
			case c == '-':
				c = '_'
			}

			e.buf = append(e.buf, c)
		}
	}

	e.names = append(e.names, span{from, len(e.buf)})
	e.buf = append(e.buf, 0)
	e.buf = append(e.buf, value...)
	e.buf = append(e.buf, 0)
}

// Bytes returns the block with its length in front. It is valid until the next
// Reset.
func (e *Encoder) Bytes() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}

	if len(e.buf) == 0 {
		e.Reset()
	}

	if e.err = e.checkNames(); e.err != nil {
		return nil, e.err
	}

	//nolint:gosec // G115: Add keeps the block under MaxHeader
	binary.BigEndian.PutUint32(e.buf, uint32(len(e.buf)-lengthSize))

	return e.buf, nil
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

// Ping returns the request that checks whether a process is alive.
func Ping(password string) ([]byte, error) { return control(MethodPing, password) }

// OOBW returns the request that makes a process do its out-of-band work.
func OOBW(password string) ([]byte, error) { return control(MethodOOBW, password) }

func control(method, password string) ([]byte, error) {
	var e Encoder
	e.Add(requestMethod, method)
	if password != "" {
		e.Add(connectPassword, password)
	}

	return e.Bytes()
}
