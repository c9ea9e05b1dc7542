// Package httphead reads the heads of HTTP/1 requests as bytes, and the framing of
// their bodies, by rules that leave no doubt where a request ends and what it asks for.
//
// It accepts less than RFC 9112 allows a lenient recipient: lines end with CRLF, none
// is folded, names are tokens with the colon right behind them, a body has one length
// or the one coding "chunked", and Host is one host. Whatever a proxy in front of the
// server might read differently is an [Error], which has the status of the response.
//
// A head is parsed in place and without allocation: what [Head] has are slices of the
// buffer that it was parsed from.
package httphead

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// MaxMethod is how many bytes a method may have.
const MaxMethod = 32

// Limits bound a head. Zero means no limit, other than [MaxMethod] for the method.
type Limits struct {
	// Head is for all of it, in bytes, Target for what is asked for.
	Head, Target int
	// Fields is how many fields there may be, Field how many bytes name and value of
	// one may have together.
	Fields, Field int
}

// Error is why a request is refused. The connection has to end with the response: where
// the next request begins is not known.
type Error struct {
	// Status is 400, 414, 431, 501 or 505.
	Status int
	// Reason is a clause without a capital letter, for people.
	Reason string
}

func (e *Error) Error() string {
	return "the request is refused with status " + strconv.Itoa(e.Status) + ": " + e.Reason
}

// ErrIncomplete means that the head does not end in the buffer.
var ErrIncomplete = errors.New("the request's head has not arrived completely")

func bad(reason string) *Error { return &Error{http.StatusBadRequest, reason} }

// What is wrong with a head, and the status for it. They are made once: refusing costs no
// memory either.
var (
	errLineEnd     = bad("a line of its head ends with a line feed alone")
	errRequestLine = bad("its first line is not a method, a target and a version with one space between each")
	errMethod      = bad("its method is no token")
	errLongMethod  = &Error{http.StatusNotImplemented, "its method has more than " + strconv.Itoa(MaxMethod) +
		" bytes"}
	errConnect      = &Error{http.StatusNotImplemented, "the method CONNECT is for proxies"}
	errTarget       = bad("its target is neither a path nor the URL of one")
	errTargetByte   = bad("its target has a control character or a fragment")
	errTargetHost   = bad("its target has another host than its field Host")
	errLongTarget   = &Error{http.StatusRequestURITooLong, "its target is too long"}
	errVersion      = bad("its version is none of HTTP")
	errOtherVersion = &Error{http.StatusHTTPVersionNotSupported, "its version is neither HTTP/1.1 nor HTTP/1.0"}
	errLarge        = &Error{http.StatusRequestHeaderFieldsTooLarge, "its head is too large"}
	errManyFields   = &Error{http.StatusRequestHeaderFieldsTooLarge, "its head has too many fields"}
	errLargeField   = &Error{http.StatusRequestHeaderFieldsTooLarge, "a field of its head is too large"}
	errFolded       = bad("a line of its head is folded, or begins with a space")
	errName         = bad("a field's name is no token with a colon right behind it")
	errValue        = bad("a field's value has a control character")
	errValueEnd     = bad("a field's value begins or ends with what some take for a space")
	errNoHost       = bad("it has no field Host")
	errTwoHosts     = bad("it has two fields Host")
	errHost         = bad("its field Host is no host")
	errTwoTypes     = bad("it has two fields Content-Type")
	errTwoLengths   = bad("it has two fields Content-Length")
	errLength       = bad("its Content-Length is no number of bytes")
	errBoth         = bad("it has both a Content-Length and a Transfer-Encoding")
	errOldCoding    = bad("it has a Transfer-Encoding, which HTTP/1.0 does not know")
	errCoding       = &Error{http.StatusNotImplemented, "its Transfer-Encoding is not chunked alone"}
)

// Field is one line of a head. Value has no spaces around it.
type Field struct{ Name, Value []byte }

// Framing says how the end of a request's body shows.
type Framing int

// A request has no body, one of a length, or one in chunks (see [Chunks]).
const (
	NoBody Framing = iota
	Length
	Chunked
)

// Head is the head of a request. The zero value is ready for [Head.Parse], and
// [Head.Reset] makes it so again, with its memory.
type Head struct {
	Method, Target []byte
	// Minor is that of the version: HTTP/1.0 or HTTP/1.1.
	Minor byte
	// Fields are in the order in which they came.
	Fields []Field
	// Host is the value of that field; nil means that there is none.
	Host []byte
	// Framing is how the body ends, Length how many bytes it has, if it says so.
	Framing Framing
	Length  int64
	// Upgrade reports whether the client asks for another protocol, Expect whether it waits before it sends its body.
	Upgrade, Expect bool

	scanned, line   int // up to where the head's end was looked for, and the line there
	length, coding  []byte
	typed, upgrades bool
	target          targetParts
}

// Reset forgets the head and keeps its memory.
func (h *Head) Reset() { *h = Head{Fields: h.Fields[:0]} }

// Parse reads a head from the beginning of buf, and returns how many bytes of buf it has.
// The error is [ErrIncomplete] where buf has only a part of it: Parse is to be called
// again then with more bytes behind the same ones, which may have moved. Any other error
// is an [*Error]. What is already certain to be wrong is refused before the head is
// complete.
func (h *Head) Parse(buf []byte, limits *Limits) (n int, err error) {
	// Its first line was read, from the bytes where they are now.
	read := false
	for {
		// What was looked through before is not looked through again: a head may come byte by byte.
		i := bytes.IndexByte(buf[h.scanned:], '\n')
		if i < 0 {
			h.scanned = len(buf)
			if limits.Head > 0 && len(buf) >= limits.Head {
				return 0, errLarge
			}

			return 0, ErrIncomplete
		}

		begin, end := h.line, h.scanned+i
		h.scanned, h.line = end+1, end+1
		if limits.Head > 0 && end >= limits.Head {
			return 0, errLarge
		}

		if end == begin || buf[end-1] != '\r' {
			return 0, errLineEnd
		}

		switch {
		case begin == 0:
			// A client that speaks something else may wait for a response to its first line.
			if err := h.parseRequestLine(buf[:end-1], limits); err != nil {
				return 0, err
			}

			read = true
		case end == begin+1:
			return h.scanned, h.parse(buf[:h.scanned], limits, read)
		}
	}
}

// parse reads a head that is complete, and whose lines all end with CRLF. read: its first
// line has been.
func (h *Head) parse(buf []byte, limits *Limits, read bool) error {
	end := bytes.IndexByte(buf, '\n')
	if !read {
		// The bytes may have moved.
		if err := h.parseRequestLine(buf[:end-1], limits); err != nil {
			return err
		}
	}

	h.Fields = h.Fields[:0]
	for rest := buf[end+1:]; len(rest) > len("\r\n"); {
		end := bytes.IndexByte(rest, '\n')
		f, err := parseField(rest[:end-1])
		if err != nil {
			return err
		}

		rest = rest[end+1:]

		if limits.Fields > 0 && len(h.Fields) == limits.Fields {
			return errManyFields
		}

		if limits.Field > 0 && len(f.Name)+len(f.Value) > limits.Field {
			return errLargeField
		}

		if err := h.note(f); err != nil {
			return err
		}

		h.Fields = append(h.Fields, f)
	}

	return h.finish()
}

// note looks at the fields that say something about the request itself.
func (h *Head) note(f Field) error {
	// Most names differ in their lengths.
	switch len(f.Name) {
	case len("host"):
		if !httpfield.EqualFold(view(f.Name), "host") {
			return nil
		}

		if h.Host != nil {
			return errTwoHosts
		}

		h.Host = f.Value
	case len("expect"):
		h.Expect = h.Expect || httpfield.EqualFold(view(f.Name), "expect")
	case len("upgrade"):
		h.upgrades = h.upgrades || httpfield.EqualFold(view(f.Name), "upgrade")
	case len("content-type"):
		if !httpfield.EqualFold(view(f.Name), "content-type") {
			return nil
		}

		if h.typed {
			return errTwoTypes
		}

		h.typed = true
	case len("content-length"):
		if !httpfield.EqualFold(view(f.Name), "content-length") {
			return nil
		}

		if h.length != nil {
			return errTwoLengths
		}

		h.length = f.Value
	case len("transfer-encoding"):
		if !httpfield.EqualFold(view(f.Name), "transfer-encoding") {
			return nil
		}

		if h.coding != nil {
			return errCoding
		}

		h.coding = f.Value
	}

	return nil
}

// finish looks at what the fields mean together.
func (h *Head) finish() error {
	switch {
	case h.Host == nil && h.Minor > 0:
		return errNoHost
	case !httpfield.ValidHost(view(h.Host)):
		return errHost
	case h.target.absolute && h.Host != nil && !bytes.EqualFold(h.target.host, h.Host):
		return errTargetHost
	}

	if err := h.frame(); err != nil {
		return err
	}

	h.Upgrade = h.upgrades && h.Minor > 0

	return nil
}

// frame finds out how the body ends. RFC 9112 section 6.3 allows more, but a proxy in
// front of the server may see another end then.
func (h *Head) frame() error {
	switch {
	case h.coding != nil && h.Minor == 0:
		return errOldCoding
	case h.coding != nil && h.length != nil:
		return errBoth
	case h.coding != nil && !httpfield.EqualFold(view(h.coding), "chunked"):
		return errCoding
	case h.coding != nil:
		h.Framing = Chunked
		return nil
	case h.length == nil:
		h.Framing = NoBody
		return nil
	}

	n, ok := parseLength(h.length)
	if !ok {
		return errLength
	}

	// A body without bytes is none.
	if h.Length = n; n > 0 {
		h.Framing = Length
	}

	return nil
}

// maxLengthDigits is how many digits a length has at most.
const maxLengthDigits = 19

func parseLength(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > maxLengthDigits {
		return 0, false
	}

	var n uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}

		// 19 digits are within 64 bits, and what is beyond 63 is refused at the end.
		n = n*10 + uint64(c-'0')
	}

	return int64(n), n < 1<<63
}

// ValidLength reports whether a Content-Length is a number of bytes in decimal.
func ValidLength(text string) bool {
	_, ok := parseLength([]byte(text))
	return ok
}
