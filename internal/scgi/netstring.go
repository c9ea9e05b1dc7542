package scgi

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// maxNamed is how much of something foreign an error shows.
const maxNamed = 64

// refusal is why a request is not served, and the status of the response.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) error {
	return refuse(http.StatusBadRequest, format, args...)
}

// show quotes what a client has sent, for a log.
func show(s string) string {
	if len(s) > maxNamed {
		return fmt.Sprintf("%q...", s[:maxNamed])
	}

	return fmt.Sprintf("%q", s)
}

// frame is where the head is in what was received: a netstring, its length in
// decimal, a colon, the head, a comma.
type frame struct {
	start, end int // of the head; end is the comma's place
}

// findFrame needs more if it finds neither a frame nor a fault. The head itself
// need not have arrived.
func findFrame(b []byte, limit int) (f frame, found bool, err error) {
	colon := bytes.IndexByte(b[:min(len(b), digits(limit)+1)], ':')
	number := b
	if colon >= 0 {
		number = b[:colon]
	}

	// What is longer is above the limit, or no length at all, which its beginning tells.
	if len(number) > digits(limit) {
		number = number[:digits(limit)]
	}

	n := 0
	for i, c := range number {
		switch {
		case c < '0' || c > '9':
			return frame{}, false, bad("the request does not begin with the length of its head in decimal: is the " +
				"web server told to speak SCGI?")
		// Netstrings have no zeros in front.
		case i > 0 && number[0] == '0':
			return frame{}, false, bad("the length of the request's head begins with a zero")
		}

		n = n*10 + int(c-'0')
	}

	switch {
	case colon < 0 && len(b) <= digits(limit):
		return frame{}, false, nil
	case colon == 0:
		return frame{}, false, bad("the length of the request's head is missing")
	case colon < 0 && b[digits(limit)] >= '0' && b[digits(limit)] <= '9', n > limit:
		return frame{}, false, refuse(http.StatusRequestHeaderFieldsTooLarge,
			"the request's head is larger than %d bytes", limit)
	case colon < 0:
		return frame{}, false, bad("the length of the request's head does not end with a colon")
	}

	return frame{start: colon + 1, end: colon + 1 + n}, true, nil
}

// digits is how many decimal digits n has.
func digits(n int) int {
	d := 1
	for ; n > 9; n /= 10 {
		d++
	}

	return d
}

// splitHead makes parameters of a head: names and values, each with a NUL at its
// end.
func splitHead(head string) (ParamList, error) {
	if head == "" {
		return nil, bad("the request's head is empty")
	}

	if head[len(head)-1] != 0 {
		return nil, bad("the request's head does not end with a NUL")
	}

	n := strings.Count(head, "\x00")
	if n%2 != 0 {
		return nil, bad("a name in the request's head has no value")
	}

	if n/2 > MaxParams {
		return nil, refuse(http.StatusRequestHeaderFieldsTooLarge, "the request has %d parameters, more than %d", n/2,
			MaxParams)
	}

	params := make(ParamList, n/2)
	for i := range params {
		p := &params[i]
		p.Name, head, _ = strings.Cut(head, "\x00")
		p.Value, head, _ = strings.Cut(head, "\x00")
		if p.Name == "" {
			return nil, bad("parameter %d of the request has no name", i+1)
		}
	}

	return params, params.checkUnique()
}
