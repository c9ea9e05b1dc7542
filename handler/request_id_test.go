package handler_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
)

// TestRequestIDs: each request has an id of its own, which only a proxy that is
// believed may choose.
func TestRequestIDs(t *testing.T) {
	var got sessionproto.Header
	ask := func(s *site, header ...string) (id, start string) {
		resp, _ := s.do(http.MethodGet, "/", "", header...)
		require.Equal(s, http.StatusOK, resp.StatusCode)
		return got["HTTP_X_REQUEST_ID"], got["HTTP_X_REQUEST_START"]
	}
	said := []string{"X-Request-Id", "from/the-proxy_1.2:3+4=", "X-Request-Start", "t=1"}
	serve(t, recordingSession(&got), func(s *site) {
		first, start := ask(s, said...)
		second, _ := ask(s)
		require.Regexp(s, `^[0-9a-f]{32}$`, first)
		require.NotEqual(s, first, second)
		microseconds, err := strconv.ParseInt(strings.TrimPrefix(start, "t="), 10, 64)
		require.NoError(s, err)
		require.WithinDuration(s, time.Now(), time.UnixMicro(microseconds), time.Second)
	})
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	serveConfig(t, recordingSession(&got), cfg, func(s *site) {
		id, start := ask(s, said...)
		require.Equal(s, "from/the-proxy_1.2:3+4=", id)
		require.Equal(s, "t=1", start)
		for _, unfit := range []string{"", "a b", "a\tb", "<script>", strings.Repeat("x", 129), "é"} {
			id, _ := ask(s, "X-Request-Id", unfit)
			require.Regexp(s, `^[0-9a-f]{32}$`, id)
		}
		id, _ = ask(s, "X-Request-Id", strings.Repeat("x", 128))
		require.Len(s, id, 128)
	})
}

// TestTraceContextIsPassedOn: W3C trace context belongs to whoever traces.
func TestTraceContextIsPassedOn(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		s.do(http.MethodGet, "/", "", "Traceparent", parent, "Tracestate", "a=b", "Baggage", "c=d")
		require.Equal(s, parent, got["HTTP_TRACEPARENT"])
		require.Equal(s, "a=b", got["HTTP_TRACESTATE"])
		require.Equal(s, "c=d", got["HTTP_BAGGAGE"])
	})
}
