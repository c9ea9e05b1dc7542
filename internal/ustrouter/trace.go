package ustrouter

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/textproto"
	"strings"

	"github.com/gopassenger/passenger"
)

const traceparentHeader, tracestateHeader = "Traceparent", "Tracestate"

// place is that of a request in a trace.
type place struct {
	// traceparent is that of the request's own span.
	traceparent string
	// parent is the ID of the span before it, link a traceparent that is not believed; empty means none.
	parent, link string
	userAgent    string
}

type placeKey struct{}

func placeOf(ctx context.Context) *place {
	if p, ok := ctx.Value(placeKey{}).(*place); ok {
		return p
	}

	return &place{}
}

// RequestBegan gives the request a span, whose traceparent the application gets. Its parent is the client's, if that is
// valid and comes from a trusted peer: anyone could have spans recorded otherwise, and join any trace. Else a trace
// begins here, with a link to the client's.
func (o *Observer) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	p := &place{userAgent: e.Header.Get("User-Agent")}

	// Of two, none is valid, and joined they could be. (Source: W3C Trace Context, section 3.2.)
	client := ""
	if values := e.Header[traceparentHeader]; len(values) == 1 {
		client = values[0]
	}

	theirs, valid := parseTraceparent(client)
	e.AppHeader = textproto.MIMEHeader{}

	switch {
	case valid && e.TrustedPeer:
		// Flags of later levels mean nothing here, and must not be passed on. (Source: section 3.2.2.5.)
		p.parent = theirs.parentID
		p.traceparent = newTraceparent(theirs.traceID, theirs.flags&(flagSampled|flagRandom))
	default:
		if valid {
			p.link = client[:traceparentLength]
		}

		p.traceparent = newTraceparent("", o.sample())

		// The state is the other trace's.
		e.AppHeader[tracestateHeader] = nil
	}

	e.AppHeader[traceparentHeader] = []string{p.traceparent}

	return context.WithValue(ctx, placeKey{}, p)
}

// sample decides about a trace that begins here.
func (o *Observer) sample() byte {
	if rand.Float64() < o.sampleRate { //nolint:gosec // G404: it is no secret
		return flagSampled
	}

	return 0
}

// newTraceparent is that of a new span, in a new trace if trace is empty.
func newTraceparent(trace string, flags byte) string {
	var (
		ids  [24]byte
		text [traceparentLength]byte
	)

	// Both at once: most requests begin a trace.
	randomID(ids[:16])
	randomID(ids[16:])
	copy(text[:], "00-")
	hex.Encode(text[traceIDAt:], ids[:16])
	copy(text[traceIDAt:], trace)
	text[traceIDEnd] = '-'
	hex.Encode(text[parentIDAt:], ids[16:])
	text[parentIDEnd] = '-'
	hex.Encode(text[flagsAt:], []byte{flags})

	return string(text[:])
}

// The form of a traceparent: version, trace id, parent's id and flags, as in
// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01. (Source: W3C Trace Context, level 2.)
const (
	traceIDAt, traceIDEnd   = 3, 35
	parentIDAt, parentIDEnd = 36, 52
	flagsAt                 = 53
	traceparentLength       = 55
	// flagSampled means that the caller records the trace, flagRandom that its ID is a random number.
	flagSampled, flagRandom = 1, 2
)

type traceparent struct {
	traceID, parentID string
	flags             byte
}

// parseTraceparent takes later versions as well, whose additions it ignores.
func parseTraceparent(s string) (t traceparent, ok bool) {
	if len(s) < traceparentLength || s[traceIDAt-1] != '-' || s[traceIDEnd] != '-' || s[parentIDEnd] != '-' {
		return t, false
	}

	version, flags := s[:traceIDAt-1], s[flagsAt:traceparentLength]
	if !isHex(version) || version == "ff" || !isHex(flags) {
		return t, false
	}

	if len(s) > traceparentLength && (version == "00" || s[traceparentLength] != '-') {
		return t, false
	}

	bits, err := hex.DecodeString(flags)
	if err != nil {
		return t, false
	}

	t = traceparent{s[traceIDAt:traceIDEnd], s[parentIDAt:parentIDEnd], bits[0]}

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
