package hostile_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const (
	// largestSeed bounds the rows that fuzzing begins with.
	largestSeed = 2 << 10
	// What the third argument means.
	fuzzSession = 1 << 0
	fuzzKeeps   = 1 << 1
	fuzzStreams = 1 << 2
)

// FuzzExchange lets a client and an application say anything to each other.
func FuzzExchange(f *testing.F) {
	spellings := codingSpellingRows()
	for i, row := range requestRows() {
		if len(row.raw) <= largestSeed &&
			!slices.ContainsFunc(spellings, func(other requestRow) bool { return other.raw == row.raw }) {
			f.Add(row.raw, plainResponse, uint8(i))
		}
	}

	for i, row := range responseRows() {
		response := strings.Join(row.script().response, "")
		if len(row.request)+len(response) > largestSeed {
			continue
		}

		if row.request == "" {
			row.request = get()
		}

		f.Add(row.request, response, uint8(i))
	}

	f.Fuzz(func(t *testing.T, raw, response string, mode uint8) {
		synctest.Test(t, func(t *testing.T) {
			b := &booth{
				protocol: loaderproto.HTTPSession,
				response: response,
				keeps:    mode&fuzzKeeps != 0,
				streams:  mode&fuzzStreams != 0,
			}
			if mode&fuzzSession != 0 {
				b.protocol = loaderproto.Session
			}

			b.run(t, func() { fuzzExchange(t, b, raw) })
		})
	})
}

func fuzzExchange(t *testing.T, b *booth, raw string) {
	t.Helper()
	got, err := b.exchange(raw, 5*time.Second)
	require.NoError(t, err)

	method, _, _ := strings.Cut(raw, " ")
	for _, a := range parseResponses(got, method) {
		if a.whole && a.status >= http.StatusOK {
			require.True(t, b.isResponse(a) || isOwn(a), "%v is neither the application's nor the server's", a)
		}
	}

	requests := b.requests()
	require.LessOrEqual(t, len(requests), countRequests(raw))

	for _, r := range requests {
		if !known(r) {
			require.NoError(t, r.fault, "%v", r)
		}
	}

	for i := range 3 {
		require.NoError(t, b.followUp(fmt.Sprintf("r%d", i)))
	}
}

// known reports whether the request has what open_test.go says of the server.
func known(r *seen) bool {
	return len(r.header["Host"]) == 1 && !hostRule.MatchString(r.header["Host"][0])
}

// isResponse reports whether the body is one that the application has said.
func (b *booth) isResponse(a response) bool {
	if strings.Contains(b.response, a.body) {
		return true
	}

	for rest := b.response; ; {
		_, body, ok := strings.Cut(rest, "\r\n\r\n")
		if !ok {
			return false
		}

		chunks, _ := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(body))) // what is readable counts
		if string(chunks) == a.body {
			return true
		}

		rest = body
	}
}

// isOwn reports whether it is the server's own response, an error mostly.
func isOwn(a response) bool {
	return a.header.Get("Content-Security-Policy") != "" || a.status == http.StatusNotImplemented ||
		strings.HasPrefix(a.body, fmt.Sprint(a.status))
}

// countRequests is how many requests net/http finds in raw.
func countRequests(raw string) (n int) {
	br := bufio.NewReader(strings.NewReader(raw))
	for method := ""; ; n++ {
		if method == http.MethodPost {
			skipLineEnds(br)
		}

		r, err := http.ReadRequest(br)
		if err != nil {
			return n
		}

		method = r.Method
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return n
		}
	}
}

// skipLineEnds skips what net/http does behind a POST.
func skipLineEnds(br *bufio.Reader) {
	next, _ := br.Peek(4) // fewer do as well
	for _, c := range next {
		if c != '\r' && c != '\n' {
			return
		}

		_, _ = br.Discard(1)
	}
}
