package handler

import (
	"crypto/rand"
	"encoding/hex"
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
	if m.id == "" {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		m.id = hex.EncodeToString(random[:])
	}
	if m.start == "" {
		m.start = "t=" + strconv.FormatInt(now.UnixMicro(), 10)
	}
	return m
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
