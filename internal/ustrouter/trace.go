package ustrouter

import (
	"context"
	"net/http"
	"strings"
)

const traceparentHeader = "Traceparent"

type traceparentKey struct{}

// TraceContext passes requests on to next with their W3C trace context where
// an Observer finds it. It belongs in front of the handler of a pool.
func TraceContext(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header[traceparentHeader]; len(values) == 1 {
			if _, ok := parseTraceparent(values[0]); ok {
				r = r.WithContext(context.WithValue(r.Context(), traceparentKey{}, values[0][:traceparentLength]))
			}
		}

		next.ServeHTTP(w, r)
	})
}

func traceparentOf(ctx context.Context) string {
	s, _ := ctx.Value(traceparentKey{}).(string)
	return s
}

// The form of a traceparent: version, trace id, parent's id and flags, as in
// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.
const (
	traceIDAt, traceIDEnd   = 3, 35
	parentIDAt, parentIDEnd = 36, 52
	flagsAt                 = 53
	traceparentLength       = 55
)

type traceparent struct{ traceID, parentID string }

// parseTraceparent takes later versions as well, whose additions it ignores.
func parseTraceparent(s string) (t traceparent, ok bool) {
	if len(s) < traceparentLength || s[traceIDAt-1] != '-' || s[traceIDEnd] != '-' || s[parentIDEnd] != '-' {
		return t, false
	}

	version := s[:traceIDAt-1]
	if !isHex(version) || version == "ff" || !isHex(s[flagsAt:traceparentLength]) {
		return t, false
	}

	if len(s) > traceparentLength && (version == "00" || s[traceparentLength] != '-') {
		return t, false
	}

	t = traceparent{s[traceIDAt:traceIDEnd], s[parentIDAt:parentIDEnd]}

	return t, isID(t.traceID) && isID(t.parentID)
}

func isID(s string) bool { return isHex(s) && strings.Trim(s, "0") != "" }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}

	return true
}
