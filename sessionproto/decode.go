package sessionproto

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The errors of [ReadHeader], beside those of [Encoder] and of the connection.
var (
	ErrMalformed = errors.New("sessionproto: malformed header block")
	ErrPassword  = errors.New("sessionproto: wrong connect password")
)

// Header is a decoded header block.
type Header map[string]string

// ReadHeader reads a header block and nothing after it. io.EOF means that the stream ended before
// the block, io.ErrUnexpectedEOF that it ended inside. Memory grows with what arrived, not with the
// length that the peer announced.
func ReadHeader(r io.Reader) (Header, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}

	n := binary.BigEndian.Uint32(length[:])
	if n > MaxHeader {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, n)
	}

	var block bytes.Buffer
	if _, err := io.CopyN(&block, r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}

		return nil, err
	}

	return DecodeHeader(block.Bytes())
}

// DecodeHeader decodes a header block without its length.
func DecodeHeader(block []byte) (Header, error) {
	h := Header{}
	for s := string(block); s != ""; {
		name, rest, ok := strings.Cut(s, "\x00")
		if !ok || name == "" {
			return nil, ErrMalformed
		}

		value, rest, ok := strings.Cut(rest, "\x00")
		if !ok {
			return nil, ErrMalformed
		}

		if _, twice := h[name]; twice {
			return nil, fmt.Errorf("%w: %s", ErrDuplicate, name)
		}

		h[name] = value
		s = rest
	}

	return h, nil
}

// IsPing reports whether the request is a [Ping]. Clients cannot make one, since their requests
// have a REQUEST_URI.
func (h Header) IsPing() bool { return h.isControl(MethodPing) }

// IsOOBW reports whether the request is an [OOBW].
func (h Header) IsOOBW() bool { return h.isControl(MethodOOBW) }

func (h Header) isControl(method string) bool {
	_, forApp := h[requestURI]
	// Loaders of the original differ in the case of PING.
	return !forApp && strings.EqualFold(h[requestMethod], method)
}

// CheckPassword compares the password of the request in constant time, and removes it from the
// header. An empty password accepts every request.
func (h Header) CheckPassword(password string) error {
	got := h[connectPassword]
	// The application gets the header, and must not know the password.
	delete(h, connectPassword)
	if password != "" && subtle.ConstantTimeCompare([]byte(got), []byte(password)) != 1 {
		return ErrPassword
	}

	return nil
}
