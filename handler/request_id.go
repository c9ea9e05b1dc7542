package handler

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// What the application learns of a request to find it again elsewhere, and to
// see how long it waited. A proxy that is believed may have said both already.
const (
	requestIDHeader    = "X-Request-Id"
	requestStartHeader = "X-Request-Start"

	maxRequestID = 128
	idSize       = 16
)

// requestMark is a request's id and when it came, the latter in the form of
// the header: t= and microseconds since 1970.
type requestMark struct{ id, start string }

func newRequestMark(r *http.Request, trusted bool, now time.Time) requestMark {
	var m requestMark
	if trusted {
		if v := r.Header.Get(requestIDHeader); validRequestID(v) {
			m.id = v
		}
		m.start = r.Header.Get(requestStartHeader)
	}
	if m.id != "" && m.start != "" {
		return m
	}
	// Both in one piece of memory.
	var b [2*idSize + 2 + 20]byte
	var random [idSize]byte
	binary.LittleEndian.PutUint64(random[:], rand.Uint64())  //nolint:gosec // G404: it tells requests apart and is no secret
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64()) //nolint:gosec // G404: as above
	text := string(strconv.AppendInt(append(hex.AppendEncode(b[:0], random[:]), "t="...), now.UnixMicro(), 10))
	return requestMark{cmp.Or(m.id, text[:2*idSize]), cmp.Or(m.start, text[2*idSize:])}
}

// validRequestID: what is fit for a log and for whatever the application does
// with it.
func validRequestID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':', c == '/', c == '=', c == '+':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}
