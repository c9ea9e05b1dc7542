package httphead

import (
	"bytes"

	"github.com/gopassenger/passenger/internal/httpfield"
)

const (
	// maxSizeDigits keeps a size within 64 bits.
	maxSizeDigits = 16
	// MaxExtension is how many bytes the extensions of a chunk may have.
	MaxExtension = 256
	// MaxExtensions is how many bytes those of a body may have.
	MaxExtensions = 16 << 10
	// MaxTrailer is how many bytes may follow the last chunk.
	MaxTrailer = 4 << 10
)

var (
	errSizeLine = bad("a chunk's size is no hexadecimal number, with an extension perhaps, on a line that ends " +
		"with CRLF")
	errExtension  = bad("the extensions of its chunks are too long")
	errChunkEnd   = bad("a chunk does not end with CRLF behind as many bytes as it says")
	errTrailer    = bad("what follows its last chunk is not well-formed")
	errForbidden  = bad("a field that has to be in the head follows its last chunk")
	errLongTailer = bad("what follows its last chunk is too long")
)

// Part is a part of a body in chunks.
type Part int

// A body is any number of times a size, data and its end, and after the last size, which
// is 0, a trailer.
const (
	InSize Part = iota
	InData
	InEnd
	InTrailer
	Ended
)

// Chunks follows the framing of a body in chunks. The zero value is at its beginning.
type Chunks struct {
	part       Part
	left       uint64
	extensions int
}

// Part says what is to come.
func (c *Chunks) Part() Part { return c.part }

// Next looks at b, whose bytes follow those that were accepted before, and returns how
// many of them are accepted: data, and lines and a trailer that are complete. The rest
// has to come again, with more bytes behind it. The body is over when [Chunks.Part] is
// [Ended]; the bytes behind it are not looked at. The error is an [*Error].
func (c *Chunks) Next(b []byte) (n int, err error) {
	for n < len(b) && c.part != Ended {
		var used int
		switch rest := b[n:]; c.part {
		case InSize:
			used, err = c.size(rest)
		case InData:
			used = int(min(uint64(len(rest)), c.left)) //nolint:gosec // G115: it is no more than len
			if c.left -= uint64(used); c.left == 0 {
				c.part = InEnd
			}
		case InEnd:
			used, err = c.end(rest)
		case InTrailer:
			used, err = c.trailer(rest)
		case Ended:
		}

		// What a part cannot use needs more bytes behind it.
		if n += used; used == 0 || err != nil {
			return n, err
		}
	}

	return n, nil
}

func (c *Chunks) size(b []byte) (int, error) {
	const longest = maxSizeDigits + MaxExtension + len("\r\n")
	end := bytes.IndexByte(b[:min(len(b), longest)], '\n')
	line := b[:min(len(b), longest)]
	if end >= 0 {
		line = b[:end]
	}

	var size uint64

	digits := 0
	for digits < len(line) && httpfield.IsHex(line[digits]) {
		if digits == maxSizeDigits {
			return 0, errSizeLine
		}

		size = size<<4 | uint64(hexValue(line[digits]))
		digits++
	}

	// What is wrong already need not wait for the end of the line.
	rest := line[digits:]
	if len(rest) > 0 && (digits == 0 || rest[0] != ';' && (rest[0] != '\r' || len(rest) > 1)) {
		return 0, errSizeLine
	}

	if end < 0 {
		if len(b) >= longest {
			return 0, errExtension
		}

		return 0, nil
	}

	extension, ok := bytes.CutSuffix(rest, []byte("\r"))
	if !ok || !httpfield.ValidValue(view(extension)) {
		return 0, errSizeLine
	}

	if c.extensions += len(extension); len(extension) > MaxExtension || c.extensions > MaxExtensions {
		return 0, errExtension
	}

	c.left, c.part = size, InData
	if size == 0 {
		c.part = InTrailer
	}

	return end + 1, nil
}

func (c *Chunks) end(b []byte) (int, error) {
	switch {
	case b[0] != '\r' || len(b) > 1 && b[1] != '\n':
		return 0, errChunkEnd
	case len(b) == 1:
		return 0, nil
	}

	c.part = InSize

	return 2, nil
}

func (c *Chunks) trailer(b []byte) (int, error) {
	for n := 0; ; {
		end := bytes.IndexByte(b[n:], '\n')
		switch {
		case end < 0 && len(b) > MaxTrailer || end >= 0 && n+end >= MaxTrailer:
			return 0, errLongTailer
		case end < 0:
			if len(b) > n && !mayBegin(b[n:]) {
				return 0, errTrailer
			}

			return 0, nil
		case end == 0 || b[n+end-1] != '\r':
			return 0, errTrailer
		case end == 1:
			c.part = Ended
			return n + 2, nil
		}

		f, err := parseField(b[n : n+end-1])
		if err != nil {
			return 0, errTrailer
		}

		if forbidden(f.Name) {
			return 0, errForbidden
		}

		n += end + 1
	}
}

// mayBegin reports whether b may be the beginning of a field, or of the empty line.
func mayBegin(b []byte) bool { return b[0] == '\r' && len(b) == 1 || httpfield.IsTokenByte(b[0]) }

// forbiddenNames are of fields that decide how a message is read, and by which program, which is too
// late behind it, RFC 9110 section 6.5.1.
var forbiddenNames = map[string]bool{
	"content-length": true, "transfer-encoding": true, "host": true, "trailer": true, "te": true, "connection": true,
	"keep-alive": true, "upgrade": true, "proxy-connection": true, "content-encoding": true, "content-type": true,
	"content-range": true, "range": true, "expect": true, "max-forwards": true, "cache-control": true,
	"authorization":       true,
	"proxy-authorization": true, "proxy-authenticate": true, "cookie": true, "set-cookie": true, "if-match": true,
	"if-none-match": true, "if-modified-since": true, "if-unmodified-since": true, "if-range": true, "proxy": true,
}

const longestForbidden = len("proxy-authorization")

func forbidden(name []byte) bool {
	var lower [longestForbidden]byte
	if len(name) > len(lower) {
		return false
	}

	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}

		lower[i] = c
	}

	return forbiddenNames[string(lower[:len(name)])]
}

func hexValue(c byte) byte {
	if httpfield.IsDigit(c) {
		return c - '0'
	}

	return c | 0x20 - 'a' + 10
}
