package handler_test

import (
	"context"
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

		for start, believed := range map[string]bool{
			"t=1700000000.123": true, "1700000000123": true, "t=": false, "t=1 evil": false, "t=<script>": false,
			"t=" + strings.Repeat("1", 32): true, "t=" + strings.Repeat("1", 33): false,
		} {
			_, got := ask(s, "X-Request-Start", start)
			require.Equal(s, believed, got == start, start)
		}
	})
}

// W3C trace context says how an application's work belongs to others', which no stranger
// decides. Baggage is for whoever looks for it.
func TestTraceContextIsForwardedFromTrustedProxies(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for prefix, trusted := range map[string]bool{"192.0.2.0/24": true, "10.0.0.0/8": false} {
		cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(prefix)}}
		var got sessionproto.Header
		serveConfig(t, recordingSession(&got), cfg, func(s *site) {
			s.do(http.MethodGet, "/", "", "Traceparent", parent, "Tracestate", "a=b", "Baggage", "c=d")
			require.Equal(s, trusted, got["HTTP_TRACEPARENT"] == parent)
			require.Equal(s, trusted, got["HTTP_TRACESTATE"] == "a=b")
			require.Equal(s, "c=d", got["HTTP_BAGGAGE"])
		})
	}
}

// A program's id wins over whatever a client or a proxy says; a header of the request
// alone is not the program's, since it looks the same when a client has sent it.
func TestRequestIDOfTheProgramWins(t *testing.T) {
	const programs = "host/{4711}#1"
	type key struct{}
	inContext := func(next http.Handler) http.Handler { // as chi's RequestID
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, programs)))
		})
	}
	inRequest := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Request-Id", programs)
			next.ServeHTTP(w, r)
		})
	}
	inResponse := func(next http.Handler) http.Handler { // as echo's RequestID, and gin's requestid
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-ID", programs)
			next.ServeHTTP(w, r)
		})
	}
	with := func(id string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r.WithContext(handler.WithRequestID(r.Context(), id)))
			})
		}
	}
	ofContext := func(r *http.Request) string {
		id, _ := r.Context().Value(key{}).(string)
		return id
	}
	ofHeader := func(r *http.Request) string { return r.Header.Get("X-Request-Id") }

	for name, test := range map[string]struct {
		middleware func(http.Handler) http.Handler
		ofProgram  func(*http.Request) string
		want       string
	}{
		"WithRequestID":                      {with(programs), nil, `^host/\{4711\}#1$`},
		"in a context of the program's":      {inContext, ofContext, `^host/\{4711\}#1$`},
		"in the request's header":            {inRequest, ofHeader, `^host/\{4711\}#1$`},
		"in the response's header":           {inResponse, nil, `^host/\{4711\}#1$`},
		"WithRequestID before the function":  {chain(inContext, with("nearer")), ofContext, "^nearer$"},
		"WithRequestID that cannot be":       {with("a b"), nil, "^[0-9a-f]{32}$"},
		"WithRequestID that is too long":     {with(strings.Repeat("x", 129)), nil, "^[0-9a-f]{32}$"},
		"the client's, without a function":   {chain(), nil, "^[0-9a-f]{32}$"},
		"the function has none":              {chain(), ofContext, "^[0-9a-f]{32}$"},
		"in the header, without a function":  {inRequest, nil, "^[0-9a-f]{32}$"},
		"the client's, which a program uses": {chain(), ofHeader, "^forged$"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, trusted := range []bool{false, true} {
				cfg := handler.Config{RequestID: test.ofProgram}
				want := test.want
				if trusted {
					cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
					want = strings.Replace(want, "[0-9a-f]{32}", "(forged|host/.4711.#1|[0-9a-f]{32})", 1)
				}

				var got sessionproto.Header
				serveBehind(t, recordingSession(&got), cfg, test.middleware, func(s *site) {
					s.do(http.MethodGet, "/", "", "X-Request-Id", "forged")
					require.Regexp(s, want, got["HTTP_X_REQUEST_ID"])
				})
			}
		})
	}
}
