package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// briefly is how long a row waits that may be known to wait in vain.
const briefly = 2 * time.Second

// How many requests come after a row, each with an id.
const (
	followUps     = 5
	manyFollowUps = 20
)

// responseRow is what the application says, and what the client has to get.
type responseRow struct {
	// name ends with the codes of docs/faults.md that the row shows, in parentheses.
	name string
	// request is the client's; empty means a GET.
	request string
	script  func() *script
	want    reply
}

// reply is what the client has to get.
type reply struct {
	// status of the response; zero means that it gets none.
	status int
	// cut reports whether the response does not come to its end, or is 502, visible whether
	// its head comes even so.
	cut, visible bool
	// leaves reports whether the client does not wait for it, or for its end.
	leaves bool
	// interim is how many responses 1xx come first, of which continues are 100.
	interim, continues int
	// optional reports whether these need not come.
	optional bool
	// rest of the request is sent when 100 comes.
	rest string
	// half reports whether the request does not come to its end.
	half bool
	body string
	// header is what the client sees of these headers, those that come more
	// than once with a comma; empty means nothing.
	header map[string]string
	// framing is how the end of the body shows: "length", "chunked", "close",
	// or empty for any.
	framing string
	// kept reports whether the application's connection serves another request, dropped
	// whether it is closed, and serves none.
	kept, dropped bool
	// tries is how often the application sees the request; zero means once.
	tries int
}

func badGateway() reply { return reply{status: http.StatusBadGateway, dropped: true} }
func broken() reply     { return reply{status: http.StatusOK, cut: true, dropped: true} }
func brokenVisibly() reply {
	return reply{
		status:  http.StatusOK,
		cut:     true,
		visible: true,
		dropped: true,
	}
}
func whole(body string) reply { return reply{status: http.StatusOK, body: body} }
func left() reply             { return reply{leaves: true, dropped: true} }

func (r reply) keeping() reply              { r.kept = true; return r }
func (r reply) dropping() reply             { r.dropped = true; return r }
func (r reply) of(status int) reply         { r.status = status; return r }
func (r reply) framed(how string) reply     { r.framing = how; return r }
func (r reply) after(interim int) reply     { r.interim = interim; return r }
func (r reply) continued(rest string) reply { r.interim, r.continues, r.rest = 1, 1, rest; return r }
func (r reply) partial() reply              { r.half = true; return r }
func (r reply) optionallyContinued() reply  { r.optional = true; return r }
func (r reply) unseen() reply               { r.tries = -1; return r }
func (r reply) with(pairs ...string) reply {
	r.header = map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		r.header[pairs[i]] = pairs[i+1]
	}

	return r
}

// says makes scripts.
func says(then ending, response ...string) func() *script {
	return func() *script { return newScript(then, response...) }
}

// saysAfter says it after reading as much of the request as this.
func saysAfter(reads reading, then ending, response ...string) func() *script {
	return func() *script {
		sc := newScript(then, response...)
		sc.reads = reads
		return sc
	}
}

// saysLate says something else when the response is through.
func saysLate(late string, then ending, response ...string) func() *script {
	return func() *script {
		sc := newScript(then, response...)
		sc.late = late
		return sc
	}
}

// play sends the row's request and says what is not as it should be.
func (row *responseRow) play(s *server, after int) error {
	if err := s.retire(); err != nil {
		return fmt.Errorf("before: %w", err)
	}

	sc := row.script()
	first := s.begin(sc)
	got, err := row.ask(s, sc)
	if err == nil {
		err = row.want.check(got)
	}

	sc.sayLate(false)
	err = errors.Join(err, s.followUp(after))
	requests, faults := s.requests()
	err = errors.Join(err, faults, row.want.checkSeen(requests))
	if used := s.servedIDs(first); used > 0 && row.want.dropped || used == 0 && row.want.kept {
		err = errors.Join(err, fmt.Errorf("the application's connection has served %d other requests", used))
	}

	if err == nil && row.want.dropped {
		err = s.awaitEnd(first)
	}

	if err != nil {
		err = fmt.Errorf("%w\nanswers %v, requests %.1000s", err, got, fmt.Sprint(requests))
		s.mend()
	}

	return err
}

// ask sends the row's request and returns the responses to it. If the connection
// stays open a good request follows on it.
func (row *responseRow) ask(s *server, sc *script) ([]response, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}

	if open[row.name].sometimes {
		_ = c.SetDeadline(time.Now().Add(briefly))
	}

	raw := row.request
	if raw == "" {
		raw = get()
	}

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, raw) // the server may close the connection
	}()
	defer func() {
		_ = c.Close()
		<-sent
	}()
	br := bufio.NewReader(c)
	if row.want.leaves {
		return nil, row.leave(s, sc, c, br)
	}

	method, _, _ := strings.Cut(raw, " ")

	var got []response
	for {
		a := readResponse(br, method)
		if a.nothing {
			return got, nil
		}

		if a.status == http.StatusSwitchingProtocols {
			rest, err := io.ReadAll(br)
			a.body = string(rest)
			return append(got, a), err
		}

		got = append(got, a)
		if a.rest != "" || !a.whole || a.last {
			rest, _ := io.ReadAll(br)
			if len(rest) > 0 {
				return got, fmt.Errorf("behind the response comes %.80q", rest)
			}

			return got, nil
		}

		if a.status == http.StatusContinue {
			_, _ = io.WriteString(c, row.want.rest)
		}

		if !a.isInterim() {
			sc.sayLate(true)
			return got, s.followOn(c, br, 1)
		}
	}
}

// leave closes the client's connection when the application has the request,
// and has begun to respond if it does.
func (row *responseRow) leave(s *server, sc *script, c net.Conn, br *bufio.Reader) error {
	if sc.then == repeats {
		if _, err := io.CopyN(io.Discard, br, 1<<20); err != nil {
			return err
		}
	} else if err := s.awaitRequest(); err != nil {
		return err
	}

	return c.Close()
}

func (r *reply) check(got []response) error {
	interim, continues := 0, 0
	for ; len(got) > 0 && got[0].isInterim(); got = got[1:] {
		interim++
		if got[0].status == http.StatusContinue {
			continues++
		}
	}

	asExpected := interim == r.interim && continues == r.continues || interim == 0 && r.optional
	switch {
	case r.leaves:
		return nil
	case !asExpected:
		return fmt.Errorf("%d interim responses, %d of them 100", interim, continues)
	case len(got) == 0 && (r.cut && !r.visible || r.status == 0):
		return nil
	case len(got) != 1 || got[0].rest != "":
		return errors.New("not one response")
	case got[0].whole && r.cut && got[0].status == http.StatusBadGateway:
		return nil
	case got[0].whole == r.cut:
		return errors.New("it is whole or cut, and should not be")
	case got[0].status != r.status:
		return fmt.Errorf("the status is not %d", r.status)
	}

	if r.cut || r.status == http.StatusBadGateway {
		return nil
	}

	return r.checkContent(&got[0])
}

func (r *reply) checkContent(a *response) error {
	var errs []error
	if a.body != r.body {
		errs = append(errs, fmt.Errorf("the body is not %.100q", r.body))
	}

	if r.framing != "" && a.framing != r.framing {
		errs = append(errs, fmt.Errorf("the end shows by %s, not by %s", a.framing, r.framing))
	}

	for name, want := range r.header {
		if got := strings.Join(a.header[http.CanonicalHeaderKey(name)], ", "); got != want {
			errs = append(errs, fmt.Errorf("%s is %.100q, not %.100q", name, got, want))
		}
	}

	if status := a.header.Get("Status"); status != "" && !strings.HasPrefix(status, fmt.Sprint(a.status)) {
		errs = append(errs, fmt.Errorf("Status is %q", status))
	}

	for name := range a.header {
		if strings.HasPrefix(name, "!~") || slices.Contains(notForClients, name) &&
			a.status != http.StatusSwitchingProtocols {
			errs = append(errs, fmt.Errorf("the client sees %s", name))
		}
	}

	return errors.Join(errs...)
}

// notForClients are headers of the application that no client sees.
var notForClients = []string{
	"Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Upgrade",
	"X-Accel-Redirect", "X-Sendfile",
}

func (r *reply) checkSeen(requests []*seen) error {
	var errs []error
	for _, seen := range requests {
		errs = append(errs, seen.fault)
	}

	if want := max(r.tries, 1); len(requests) != want && (len(requests) > 0 || r.tries >= 0) {
		errs = append(errs, fmt.Errorf("the application has seen it %d times, not %d", len(requests), want))
	}

	return errors.Join(errs...)
}

// Faults: C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13, C14, C15, C17, C18, C19, C21, C22, D17, R-40, R-41,
//
func TestResponses(t *testing.T) {
	after := longtests.Rounds(t, followUps, manyFollowUps)
	inVariants(t, func(t *testing.T, s *server, v *variant) {
		for _, row := range responseRows() {
			if v.concerns(row.request, row.want.half) {
				t.Run(row.name, func(t *testing.T) { judge(t, v, row.name, row.play(s, after)) })
			}
		}
	})
}

// responseRows are all of them.
var responseRows = sync.OnceValue(func() []responseRow {
	return slices.Concat(cutRows(), responseLengthRows(), responseChunkRows(), statusRows(), headRows(), headSizeRows(),
		extraRows(), interimRows(), bodilessRows(), responseHeaderRows(), deliveryRows(), leavingRows())
})
