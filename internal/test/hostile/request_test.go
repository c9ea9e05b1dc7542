package hostile_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// requestRow is what a client sends, and what has to come of it.
type requestRow struct {
	// name ends with the codes of docs/faults.md that the row shows, in parentheses.
	name string
	raw  string
	want outcome
	// why says whose decision it is, if that is not the rule's.
	why string
}

// outcome is what has to come of a request.
type outcome struct {
	// codes are the status codes of the responses in order, apart by spaces;
	// 400|431 is one or the other.
	codes string
	// closed reports whether the server closes the connection, and what follows is not read,
	// either whether it may.
	closed, either bool
	// half reports whether nothing follows, and the client closes its direction.
	half bool
	// silent reports whether there need not be a response.
	silent bool
	// reset reports whether the connection may be reset, which costs the last responses.
	reset bool
	// frames reports whether there are none of HTTP/1.1, but frames of HTTP/2.
	frames bool
	// dribbles reports whether the client sends byte by byte.
	dribbles bool
	// seen is what the application sees, as METHOD target. optional reports whether it may
	// also see nothing, cut whether it may see the beginning of a request that
	// does not come to its end.
	seen          []string
	optional, cut bool
	// header is what the application sees of these headers, those that came
	// twice with a comma; empty means nothing.
	header map[string]string
	// body is what the application sees of the body, if it is not "".
	body string
	// script is what the application does; nil means that it responds with 200.
	script func() *script
}

// refused is a request that the application does not see, and after which the
// connection is closed.
func refused(codes string) outcome { return outcome{codes: codes, closed: true} }

// refusedInBody is a request that is refused when its body shows what it is.
func refusedInBody() outcome { return outcome{codes: "400", closed: true, cut: true} }

// declined is a request that the application does not see and that does no
// harm.
func declined(codes string) outcome { return outcome{codes: codes, either: true} }

// passed is a request that the application sees as it is.
func passed(seen ...string) outcome {
	return outcome{codes: strings.TrimSpace(strings.Repeat("200 ", len(seen))), seen: seen}
}

func (o outcome) last() outcome { o.closed = true; return o }
func (o outcome) unlessRefused(codes string) outcome {
	o.codes, o.either, o.optional = o.codes+"|"+codes, true, true
	return o
}
func (o outcome) optionalCodes() outcome       { o.silent = true; return o }
func (o outcome) byteByByte() outcome          { o.dribbles = true; return o }
func (o outcome) ofBody(body string) outcome   { o.body = body; return o }
func (o outcome) by(sc func() *script) outcome { o.script = sc; return o }
func (o outcome) with(pairs ...string) outcome {
	o.header = map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		o.header[pairs[i]] = pairs[i+1]
	}

	return o
}

// without says which headers of the client do not come through.
func (o outcome) without(names ...string) outcome {
	pairs := make([]string, 2*len(names))
	for i, name := range names {
		pairs[2*i] = name
	}

	return o.with(pairs...)
}

// get and post are requests with these header lines.
func get(lines ...string) string { return request("GET / HTTP/1.1", lines...) }

func post(lines ...string) string { return request("POST / HTTP/1.1", lines...) }

func request(line string, lines ...string) string {
	return bare(append([]string{line, "Host: x"}, lines...)...)
}

// bare is a request of these lines and no others.
func bare(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// requestRows are all of them.
var requestRows = sync.OnceValue(func() []requestRow {
	return slices.Concat(lengthRows(), codingRows(), codingSpellingRows(), lineRows(), chunkRows(), trailerRows(),
		targetRows(), hostRows(), versionRows(), nameRows(), hopRows(), upgradeRows(), expectRows(), sizeRows(),
		methodRows(), orderRows(), refusedSetRows())
})

// play sends the row's request, with a good one behind it, and says what is not
// as it should be.
func (row *requestRow) play(s *server) error {
	want := row.want
	var sc *script
	if want.script != nil {
		sc = want.script()
	}

	s.begin(sc)
	id := s.nextID()
	text := row.raw
	if want.cut || want.half || want.optional {
		text = s.marked(text)
	}

	pieces := []string{text}
	if want.dribbles {
		pieces = bytewise(text)
	}

	if !want.half {
		pieces = append(pieces, request("GET "+idPrefix+id+" HTTP/1.1", "Connection: close"))
	}

	raw, err := s.exchange(want.half, pieces...)
	method, _, _ := strings.Cut(row.raw, " ")

	responses := parseResponses(raw, method)
	switch {
	case errors.Is(err, errReset) && (want.reset || want.silent || len(responses) > 0):
		responses = slices.DeleteFunc(responses, func(a response) bool { return !a.whole })
		err = want.checkResponses(responses, id, want.reset)
	case err != nil:
	case want.frames:
		framed := strings.HasPrefix(raw, "\x00\x00") && !strings.Contains(raw, "HTTP/1.1")
		if !framed && (raw != "" || !want.silent) {
			err = errors.New("no frames")
		}
	default:
		err = want.checkResponses(responses, id, false)
	}

	if want.closed && s.hasID(id) {
		err = errors.Join(err, errors.New("what follows was taken for a request"))
	}

	requests, faults := s.requests()
	err = errors.Join(err, faults, want.checkSeen(requests))
	if followErr := s.followUp(1); followErr != nil {
		err = errors.Join(err, fmt.Errorf("afterwards: %w", followErr))
	}

	if err != nil {
		err = fmt.Errorf("%w\nanswers %v, requests %.1000s", err, responses, fmt.Sprint(requests))
	}

	return err
}

func (o *outcome) checkResponses(responses []response, id string, some bool) error {
	wants := strings.Fields(o.codes)
	for i, a := range responses {
		if !a.whole {
			return fmt.Errorf("response %d is cut", i)
		}

		if i == len(wants) && !o.closed && !o.half && a.status == http.StatusOK && a.body == id {
			continue
		}

		if i >= len(wants) || !slices.Contains(strings.Split(wants[i], "|"), fmt.Sprint(a.status)) {
			return fmt.Errorf("response %d is wrong, want %q", i, o.codes)
		}
	}

	need := len(wants)
	if !o.closed && !o.half && !o.either {
		need++
	}

	if len(responses) < need && !some && !o.silent {
		return fmt.Errorf("%d responses, want %d", len(responses), need)
	}

	return nil
}

func (o *outcome) checkSeen(requests []*seen) error {
	var errs []error

	var whole []*seen
	for _, r := range requests {
		errs = append(errs, r.fault)
		if r.whole {
			whole = append(whole, r)
		} else if !o.cut {
			errs = append(errs, fmt.Errorf("%v does not come to its end", r))
		}
	}

	texts := make([]string, 0, len(whole))
	for _, r := range whole {
		texts = append(texts, r.String())
	}

	if !slices.Equal(texts, o.seen) && (!o.optional || len(whole) > 0) {
		errs = append(errs, fmt.Errorf("the application has seen %.200q, not %.200q", texts, o.seen))
	}

	if len(whole) > 0 {
		errs = append(errs, o.checkHead(whole[0]))
	}

	return errors.Join(errs...)
}

func (o *outcome) checkHead(r *seen) error {
	var errs []error
	for name, want := range o.header {
		if got := strings.Join(r.header[http.CanonicalHeaderKey(name)], ", "); got != want {
			errs = append(errs, fmt.Errorf("the application sees %s %q, not %q", name, got, want))
		}
	}

	if o.body != "" && r.body != o.body {
		errs = append(errs, fmt.Errorf("the application sees the body %.100q", r.body))
	}

	return errors.Join(errs...)
}

// Faults: D8, D9, D13, D14, D15, D16, D17, D19, D20, R-30, R-31, R-32, R-33, R-34, R-35, R-36, R-37, R-38, R-39,
//
func TestRequests(t *testing.T) {
	inVariants(t, func(t *testing.T, s *server, v *variant) {
		for _, row := range requestRows() {
			if v.concerns(row.raw, false) {
				t.Run(row.name, func(t *testing.T) { judge(t, v, row.name, row.play(s)) })
			}
		}
	})
}

// TestRequestsByTLS is that the check is above TLS, and that its records do not matter.
func TestRequestsByTLS(t *testing.T) {
	v := *byHTTP
	v.name, v.secure = "http_session, TLS", true

	s := start(t, &v)
	for _, row := range requestRows() {
		if row.want.half {
			continue // the end of one direction looks otherwise there
		}

		t.Run(row.name, func(t *testing.T) { judge(t, &v, row.name, row.play(s)) })
	}
}
