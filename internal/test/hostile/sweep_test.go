package hostile_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// statuses sends raw and a good request behind it, and returns the status codes
// of the responses to both.
func (s *server) statuses(t *testing.T, raw string) (codes []int) {
	t.Helper()
	got, err := s.exchange(false, raw, request("GET "+idPrefix+s.nextID()+" HTTP/1.1", "Connection: close"))
	if !errors.Is(err, errReset) {
		require.NoError(t, err)
	}

	for _, a := range parseResponses(got, http.MethodGet) {
		require.True(t, a.whole, "%v", a)
		codes = append(codes, a.status)
	}

	return codes
}

// requireSeen checks how many requests without an id the application has seen,
// and that the server is well.
func (s *server) requireSeen(t *testing.T, want int) {
	t.Helper()
	requests, faults := s.requests()
	require.NoError(t, faults)

	for _, r := range requests {
		require.NoError(t, r.fault)
		require.True(t, r.whole)
	}

	require.Len(t, requests, want)
	require.NoError(t, s.followUp(followUps))
}

// Faults.
func TestMethodsOfOneByte(t *testing.T) {
	s := start(t, byHTTP)
	s.begin(nil)

	good := 0
	for c := range 256 {
		method := string([]byte{byte(c)})
		codes := s.statuses(t, request(method+" / HTTP/1.1"))
		if isTokenByte(byte(c)) {
			good++
			require.Equal(t, []int{200, 200}, codes, "method %q", method)
		} else {
			require.Equal(t, []int{400}, codes, "method %q", method)
		}
	}

	s.requireSeen(t, good)
}

// isTokenByte reports whether c may be in a token, RFC 9110 section 5.6.2.
func isTokenByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c != 0 &&
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// Faults: R-37, P13, R-06.
func TestHeaderNamesOfAllBytes(t *testing.T) {
	for _, v := range []*variant{byHTTP, bySession} {
		t.Run(v.name, func(t *testing.T) {
			s := start(t, v)
			s.begin(nil)

			seen := 0
			for c := range 256 {
				if c == '\n' {
					continue // it ends a line, and the head
				}

				for _, form := range []string{"%cUser: forged", "X%cUser: forged", "User%c: forged"} {
					line := strings.Replace(form, "%c", string([]byte{byte(c)}), 1)
					codes := s.statuses(t, get(line, "X-User: real"))
					if codes[0] == http.StatusOK {
						seen++
					} else {
						require.Equal(t, []int{400}, codes, "%q", line)
						require.False(t, isTokenByte(byte(c)), "%q", line)
					}
				}
			}

			requests, _ := s.requests()
			for _, r := range requests {
				require.Contains(t, []string{"real", "forged, real"}, strings.Join(r.header["X-User"], ", "))
			}

			s.requireSeen(t, seen)
		})
	}
}

// Each control character is put at each place of a head.
// Faults: R-33.
func TestControlBytesAtEachPlaceOfAHead(t *testing.T) {
	const head = "GET /abc?d=e HTTP/1.1\r\nHost: x.example\r\nX-A: bcd\r\n\r\n"
	s := start(t, byHTTP)
	s.begin(nil)

	seen := 0
	for c := range 0x80 {
		if c > ' ' && c != 0x7f {
			continue
		}

		for i := range len(head) {
			raw := head[:i] + string([]byte{byte(c)}) + head[i+1:]

			codes := s.statuses(t, raw)
			switch {
			case raw == head:
				require.Equal(t, []int{200, 200}, codes, "%q", raw)
			case c == '\t' || c == '\n' || c == ' ': // they may be in their place
				require.Contains(t, []int{200, 400}, codes[0], "%q", raw)
			default:
				require.Equal(t, []int{400}, codes, "%q", raw)
			}

			if codes[0] == http.StatusOK {
				seen++
			}
		}
	}

	s.requireSeen(t, seen)
}

// Faults: D13.
func TestUnknownCodingsReachNoProcess(t *testing.T) {
	codings := []string{
		"gzip, chunked", "identity, chunked", ",chunked", "xchunked",
		"chunked\r\nTransfer-Encoding: chunked",
	}
	s := start(t, byHTTP)
	s.begin(nil)

	for i := range longtests.Rounds(t, 200, 1000) {
		raw := post("Transfer-Encoding: "+codings[i%len(codings)]) + "0\r\n\r\n" +
			fmt.Sprintf("GET /smuggled%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		require.Equal(t, []int{501}, s.statuses(t, raw))
	}

	s.requireSeen(t, 0)
}
