package hostile_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/gopassenger/passenger/loaderproto"
)

// inBooths runs a test with each protocol.
func inBooths(t *testing.T, make func() *booth, test func(t *testing.T, b *booth)) {
	t.Helper()
	leakgate.Check(t)

	for _, p := range []loaderproto.Protocol{loaderproto.HTTPSession, loaderproto.Session} {
		t.Run(string(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := make()
				b.protocol = p
				b.run(t, func() { test(t, b) })
			})
		})
	}
}

// The client has had its 504 when the application responds, and no other client gets that response.
// Faults: R-52, C19.
func TestResponseAfterTheTimeLimitReachesNoClient(t *testing.T) {
	late := func() *booth {
		return &booth{
			response: okOf(6, "forged"),
			keeps:    true,
			delay:    10 * time.Second,
			limit:    5 * time.Second,
		}
	}
	inBooths(t, late, func(t *testing.T, b *booth) {
		raw, err := b.exchange(get(), 9500*time.Millisecond)
		require.NoError(t, err)
		responses := parseResponses(raw, http.MethodGet)
		require.Len(t, responses, 1)
		require.Equal(t, http.StatusGatewayTimeout, responses[0].status)

		for i := range 1000 { // in the middle of which the response comes
			require.NoError(t, b.followUp(fmt.Sprintf("r%d", i)))
		}

		require.Len(t, b.requests(), 1)
	})
}

// Faults: R-36.
func TestBaseURIEndsAtASegment(t *testing.T) {
	below := func() *booth { return &booth{response: plainResponse, keeps: true, base: "/app/"} }
	inBooths(t, below, func(t *testing.T, b *booth) {
		seen := 0
		for target, inside := range map[string]bool{
			"/app": true, "/app/": true, "/app?x": true, "/app/x/../../y": true, "/app//": true, "/app/%2e%2e/": true,
			"/%61pp": true, "/a%70%70/x": true, "/%61%70%70?x": true,
			"/": false, "/ap": false, "/apple": false, "/app;x": false, "/app%2f": false, "/app%2Fx": false,
			"/APP/": false, "//app": false,
			"/./app": false, "/x/../app": false, "/%41pp": false, "/%2561pp": false, "/app%3Bx": false,
			"/app\\x": false, "/app.": false, "/?/app": false,
		} {
			raw, err := b.exchange(request("GET "+target+" HTTP/1.1"), time.Second)
			require.NoError(t, err)
			responses := parseResponses(raw, http.MethodGet)
			require.Len(t, responses, 1, target)
			want := http.StatusNotFound
			if inside {
				want = http.StatusOK
				seen++
			}

			require.Equal(t, want, responses[0].status, target)
		}

		requests := b.requests()
		require.Len(t, requests, seen)

		for _, r := range requests {
			require.NoError(t, r.fault)
			if b.protocol == loaderproto.Session {
				require.Equal(t, "/app", r.vars["SCRIPT_NAME"])
			}
		}
	})
}
