package handler

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The fields by which an application finds a request again elsewhere, and sees how long it waited. A trusted proxy may
// have set both already.
const (
	requestIDHeader    = "X-Request-Id"
	requestStartHeader = "X-Request-Start"

	maxRequestID    = 128
	maxRequestStart = 32
	idSize          = 16
)

type requestIDKey struct{}

// WithRequestID returns a context for a request that has this id: at the application, in the log and in
// [Handler.Inspect]. It is for middleware, and wins over Config.RequestID and over what any client or proxy says. An id
// is ignored if it is empty, longer than 128 bytes, or has other characters than visible ones of ASCII.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// assignedID returns the id that the program has given a request; empty means none. responseHeader is what middleware
// has set before.
func (h *Handler) assignedID(r *http.Request, responseHeader http.Header) string {
	if id, ok := r.Context().Value(requestIDKey{}).(string); ok && isVisible(id) {
		return id
	}

	if h.cfg.RequestID != nil {
		if id := h.cfg.RequestID(r); isVisible(id) {
			return id
		}
	}

	// No client can set a field of the response.
	if ids := responseHeader[requestIDHeader]; len(ids) == 1 && isVisible(ids[0]) {
		return ids[0]
	}

	return ""
}

// isVisible reports whether a program may give a request this id.
func isVisible(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}

	return id != "" && len(id) <= maxRequestID
}

// requestMark is a request's id and when it came, the latter in the form of the field: t= and microseconds since 1970.
type requestMark struct{ id, start string }

// newRequestMark returns the mark of a request. id is the one that the program has given it, or empty.
func newRequestMark(r *http.Request, id string, trusted bool, now time.Time) requestMark {
	m := requestMark{id: id}
	if trusted {
		if v := r.Header.Get(requestIDHeader); m.id == "" && validRequestID(v) {
			m.id = v
		}

		if v := r.Header.Get(requestStartHeader); validRequestStart(v) {
			m.start = v
		}
	}

	if m.id != "" && m.start != "" {
		return m
	}

	// Both in one piece of memory.
	var b [2*idSize + 2 + 20]byte
	var random [idSize]byte
	//nolint:gosec // G404: it tells requests apart and is no secret
	binary.LittleEndian.PutUint64(random[:], rand.Uint64())
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64()) //nolint:gosec // G404: as above
	text := string(strconv.AppendInt(append(hex.AppendEncode(b[:0], random[:]), "t="...), now.UnixMicro(), 10))

	return requestMark{cmp.Or(m.id, text[:2*idSize]), cmp.Or(m.start, text[2*idSize:])}
}

// validRequestStart reports whether start is a time as proxies write it: seconds, milliseconds or microseconds since
// 1970, with t= before it or without.
func validRequestStart(start string) bool {
	digits := strings.TrimPrefix(start, "t=")
	return digits != "" && len(digits) <= maxRequestStart && strings.Trim(digits, "0123456789.") == ""
}

// validRequestID reports whether a proxy's id is fit for a log and for whatever the application does with it.
func validRequestID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':',
			c == '/', c == '=', c == '+':
		default:
			return false
		}
	}

	return id != "" && len(id) <= maxRequestID
}
