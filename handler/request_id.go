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

// What the application learns of a request to find it again elsewhere, and to
// see how long it waited. A proxy that is believed may have said both already.
const (
	requestIDHeader    = "X-Request-Id"
	requestStartHeader = "X-Request-Start"

	maxRequestID    = 128
	maxRequestStart = 32
	idSize          = 16
)

type requestIDKey struct{}

// WithRequestID returns a context for a request that has this id: at the application,
// in the log and in [Handler.Inspect]. It is for middleware, whose word counts more
// than Config.RequestID and than what any client or proxy says. An id that is empty,
// longer than 128 bytes, or has other characters than visible ones of ASCII, counts
// for nothing.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// programsID is the id that the program has given a request; empty: none.
func (h *Handler) programsID(w http.ResponseWriter, r *http.Request) string {
	if id, ok := r.Context().Value(requestIDKey{}).(string); ok && visible(id) {
		return id
	}

	if h.cfg.RequestID != nil {
		if id := h.cfg.RequestID(r); visible(id) {
			return id
		}
	}

	// No client can set a header of the response.
	if ids := w.Header()[requestIDHeader]; len(ids) == 1 && visible(ids[0]) {
		return ids[0]
	}

	return ""
}

// visible: an id that a program may give a request.
func visible(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return false
		}
	}

	return id != "" && len(id) <= maxRequestID
}

// requestMark is a request's id and when it came, the latter in the form of
// the header: t= and microseconds since 1970.
type requestMark struct{ id, start string }

// newRequestMark returns the mark of a request to which the program has given an id, or
// none.
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
	binary.LittleEndian.PutUint64(random[:],
		rand.Uint64())
	binary.LittleEndian.PutUint64(random[8:], rand.Uint64()) //nolint:gosec // G404: as above
	text := string(strconv.AppendInt(append(hex.AppendEncode(b[:0], random[:]), "t="...), now.UnixMicro(), 10))

	return requestMark{cmp.Or(m.id, text[:2*idSize]), cmp.Or(m.start, text[2*idSize:])}
}

// validRequestStart: a time, as proxies write it: seconds, milliseconds or microseconds
// since 1970, with t= before it or without.
func validRequestStart(start string) bool {
	digits := strings.TrimPrefix(start, "t=")
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && c != '.' {
			return false
		}
	}

	return digits != "" && len(digits) <= maxRequestStart
}

// validRequestID: what is fit for a log and for whatever the application does
// with it.
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
