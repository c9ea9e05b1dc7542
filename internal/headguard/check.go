package headguard

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/gopassenger/passenger/internal/httphead"
)

var (
	preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

	errCleartext = &httphead.Error{
		Status: http.StatusHTTPVersionNotSupported,
		Reason: "HTTP/2 without TLS is off, which the option http2_cleartext turns on",
	}
)

// check returns how many bytes of b may be passed on. The others are to come again, with
// more behind them.
func (c *Conn) check(b []byte) (good int) {
	for good < len(b) {
		n := 0
		switch rest := b[good:]; c.mode {
		case inHead:
			n = c.checkHead(rest)
		case inBody:
			n = int(min(int64(len(rest)), c.left))
			if c.left -= int64(n); c.left == 0 {
				c.endBody()
			}
		case inChunks:
			n = c.checkChunks(rest)
		case passing:
			n = len(rest)
		case undecided, refused:
		}

		if n == 0 {
			return good
		}

		good += n
	}

	return good
}

func (c *Conn) checkChunks(b []byte) int {
	n, err := c.chunks.Next(b)
	if err != nil {
		c.refuse(err)
		return n
	}

	if c.chunks.Part() == httphead.Ended {
		c.endBody()
	}

	return n
}

func (c *Conn) checkHead(b []byte) int {
	if c.first {
		if n, ours := c.checkPreface(b); !ours {
			return n
		}
	}

	lineEnd := 0
	if c.posted && b[0] == '\r' {
		// Some clients write one behind the body of a POST, RFC 9112 section 2.2.
		switch {
		case len(b) == 1:
			return 0
		case b[1] == '\n':
			lineEnd = len("\r\n")
			b = b[lineEnd:]
		}

		if len(b) == 0 {
			c.posted = false
			return lineEnd
		}
	}

	if c.head == nil {
		c.head = heads.Get().(*httphead.Head) //nolint:forcetypeassert,errcheck // its New makes nothing else
	}

	n, err := c.head.Parse(b, &c.guard.Limits)
	if errors.Is(err, httphead.ErrIncomplete) {
		// Only one line end may follow.
		if lineEnd > 0 {
			c.posted = false
		}

		return lineEnd
	}

	h := c.head
	c.head = nil
	if err == nil {
		c.ahead++
		c.first, c.posted = false, string(h.Method) == http.MethodPost
		c.expectBody(h)
	} else {
		n = 0
		c.refuse(err)
	}

	h.Reset()
	heads.Put(h)

	return lineEnd + n
}

// expectBody says what follows the head.
func (c *Conn) expectBody(h *httphead.Head) {
	switch h.Framing {
	case httphead.Length:
		c.mode, c.left = inBody, h.Length
		c.beginBody()
	case httphead.Chunked:
		c.mode, c.chunks = inChunks, httphead.Chunks{}
		c.beginBody()
	case httphead.NoBody:
		if h.Upgrade {
			c.mode = undecided
		}
	}
}

func (c *Conn) beginBody() {
	c.sending.Store(true)
	// Until Handler gets the request, it is net/http that may refuse it. Behind another one, that one may be cut.
	c.lingers.Store(c.ahead == 1)
}

func (c *Conn) endBody() {
	c.mode = inHead
	c.sending.Store(false)
}

// checkPreface looks at the first bytes of a connection. ours: they are of HTTP/1, and
// else n of them may be passed on.
func (c *Conn) checkPreface(b []byte) (n int, ours bool) {
	agreed := c.state != nil && c.state.NegotiatedProtocol == http2
	switch {
	case bytes.HasPrefix(b, preface):
		// Over TLS, the handshake agrees on HTTP/2 or it is not spoken.
		if !agreed && (c.tls != nil || !c.guard.HTTP2) {
			c.refuse(errCleartext)
			return 0, false
		}

		c.mode, c.frames = passing, newFrames(&c.written)
		c.frames.count(b[len(preface):])

		return len(b), false
	case bytes.HasPrefix(preface, b):
		// There is more to come.
		return 0, false
	case agreed:
		c.goAway()
		return 0, false
	}

	return 0, true
}

// goAway ends the connection of a client that has agreed on HTTP/2 and does not speak it, with a connection error,
// RFC 9113 section 3.4: settings, which come first, and GOAWAY with PROTOCOL_ERROR and the reason.
func (c *Conn) goAway() {
	const reason = "the client has agreed on HTTP/2 and does not send its preface"
	frames := "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00" + string(rune(8+len(reason))) + "\x07\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x01" + reason

	// The client may have gone.
	_, _ = io.WriteString(c, frames)
	c.mode, c.dropped = refused, maxDropped
}

func (c *Conn) refuse(err error) {
	// Package httphead has no other errors.
	refusal, _ := errors.AsType[*httphead.Error](err)
	c.refusal.Store(refusal)
	// The zero value would be that of a body in chunks for decoy.
	if c.mode != inChunks {
		c.chunks = ended
	}

	c.mode = refused
}

// ended are chunks of which nothing is to come.
var ended = func() (c httphead.Chunks) {
	_, _ = c.Next([]byte("0\r\n\r\n"))
	return c
}()
