package handler_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/proxyheader"
	"github.com/gopassenger/passenger/internal/test/logged"
	"github.com/gopassenger/passenger/sessionproto"
)

// proxiesHeaders are all that applications believe of proxies, and some that are unknown
// yet.
func proxiesHeaders() []string {
	return append(proxyheader.Names(), "X-Forwarded-Tomorrow", "X-Original-Tomorrow", "X-Remote-Tomorrow")
}

func variableOf(name string) string {
	return "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Three peers send every header, by both protocols: a stranger, a trusted proxy whose
// headers are not named, and one whose headers are.
func TestHeadersOfProxiesReachApplicationsOnlyWhereTheyAreNamed(t *testing.T) {
	trusted, other := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8")
	for name, row := range map[string]struct {
		cfg    handler.Config
		passes bool
	}{
		"stranger":        {handler.Config{}, false},
		"stranger, named": {handler.Config{TrustedHeaders: proxiesHeaders()}, false},
		"stranger, others": {handler.Config{
			TrustedHeaders: proxiesHeaders(),
			TrustedProxies: []netip.Prefix{other},
		}, false},
		"trusted proxy": {handler.Config{TrustedProxies: []netip.Prefix{trusted}}, false},
		"trusted proxy, named": {handler.Config{
			TrustedHeaders: proxiesHeaders(),
			TrustedProxies: []netip.Prefix{trusted},
		}, true},
		"trusted proxy, others": {handler.Config{
			TrustedHeaders: []string{"X-Forwarded-For"},
			TrustedProxies: []netip.Prefix{trusted},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			sent := make([]string, 0, 4*len(proxiesHeaders()))
			for _, header := range proxiesHeaders() {
				sent = append(sent, header, "evil", header, "evil") // twice
			}

			row.cfg.Limits.Fields = -1
			var session sessionproto.Header
			serveConfig(t, recordingSession(&session), row.cfg, func(s *site) {
				s.do(http.MethodGet, "/", "", sent...)

				for _, header := range proxiesHeaders() {
					require.Equal(s, row.passes, session[variableOf(header)] != "", header)
				}
			})
			var raw string
			serveConfig(t, recordingHTTP(&raw), row.cfg, func(s *site) {
				s.do(http.MethodGet, "/", "", sent...)

				for _, header := range proxiesHeaders() {
					want := 0
					if row.passes || header == "X-Forwarded-Port" { // which is the server's then
						want = 1
					}

					require.Equal(s, want, strings.Count(strings.ToLower(raw), "\n"+strings.ToLower(header)+": "),
						header)
				}

				require.Equal(s, row.passes, strings.Contains(raw, "evil"))
			})
		})
	}
}

// What middleware writes by names that are not canonical is no way around.
func TestHeadersOfProxiesAreRemovedByAnySpelling(t *testing.T) {
	var got sessionproto.Header
	spelled := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header["x-forwarded-host"] = []string{"evil"}
			r.Header["X-REAL-IP"] = []string{"evil"}
			r.Header["proxy"] = []string{"evil"}
			next.ServeHTTP(w, r)
		})
	}
	serveBehind(t, recordingSession(&got), handler.Config{}, spelled, func(s *site) {
		s.do(http.MethodGet, "/", "")

		for name, value := range got {
			require.NotContains(s, value, "evil", name)
		}
	})
}

// An application looks for them by one name. The names of other fields stay as they are written.
func TestHeadersOfProxiesHaveTheirCanonicalSpelling(t *testing.T) {
	var raw string
	spelled := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header["x-forwarded-host"] = []string{"shop.example"}
			r.Header["x-color"] = []string{"blue"}
			next.ServeHTTP(w, r)
		})
	}
	cfg := handler.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		TrustedHeaders: []string{"X-Forwarded-Host"},
	}
	serveBehind(t, recordingHTTP(&raw), cfg, spelled, func(s *site) {
		s.do(http.MethodGet, "/", "")
		require.Contains(s, raw, "\r\nX-Forwarded-Host: shop.example\r\n")
		require.Contains(s, raw, "\r\nx-color: blue\r\n")
	})
}

// Connection has words that name no field, also where a field has such a name.
func TestWordsOfConnectionRemoveNoField(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		s.do(http.MethodGet, "/", "", "Connection", "Close, , x-listed", "Close", "the window", "X-Listed", "no")
		require.Equal(s, "the window", got["HTTP_CLOSE"])
		require.NotContains(s, got, "HTTP_X_LISTED")
	})
}

// Middleware has ways of its own that no client has.
func TestMiddlewareSetsHeadersOfProxiesByEnv(t *testing.T) {
	var got sessionproto.Header
	serve(t, recordingSession(&got), func(s *site) {
		s.env = handler.Env{"HTTP_X_FORWARDED_HOST": "shop.example", "HTTP_X_REMOTE_USER": "alice"}
		s.do(http.MethodGet, "/", "", "X-Forwarded-Host", "evil", "X-Remote-User", "root")
		require.Equal(s, "shop.example", got["HTTP_X_FORWARDED_HOST"])
		require.Equal(s, "alice", got["HTTP_X_REMOTE_USER"])
	})
}

func TestSchemeIsTheFirstElementInAnyCase(t *testing.T) {
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}

	for said, want := range map[string]string{
		"https":                            "https",
		"HTTPS":                            "https",
		"https,http":                       "https",
		" Https , http":                    "https",
		"http, https":                      "http",
		"wss":                              "https",
		"ws":                               "http",
		"ftp":                              "http",
		"https;evil":                       "http",
		"":                                 "http",
		",https":                           "http",
		"http\r\nX-Forwarded-Proto: https": "http",
		"https\r\nX-Forwarded-Proto: http": "https",
	} {
		request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-Proto: " + said + "\r\n\r\n"
		var session sessionproto.Header
		serveConfig(t, recordingSession(&session), cfg, func(s *site) {
			require.Contains(s, s.raw(request), " 200 OK")
			require.Equal(s, want == "https", session["HTTPS"] == "on", said)
			if forwarded, there := session["HTTP_X_FORWARDED_PROTO"]; there {
				require.Equal(s, want, forwarded, said)
			}
		})
		var raw string
		serveConfig(t, recordingHTTP(&raw), cfg, func(s *site) {
			s.raw(request)
			require.Equal(s, 1, strings.Count(raw, "X-Forwarded-Proto: "), raw)
			require.Contains(s, raw, "\r\nX-Forwarded-Proto: "+want+"\r\n", said)
		})
	}
}

func TestLogTellsOnceOfHeadersThatAProxyMayMiss(t *testing.T) {
	var log logged.Buffer
	var got sessionproto.Header
	cfg := handler.Config{Logger: log.Logger(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	serveConfig(t, recordingSession(&got), cfg, func(s *site) {
		for range 3 {
			s.do(http.MethodGet, "/", "", "X-Forwarded-Host", "a.example", "X-Forwarded-For", "1.2.3.4")
		}
	})
	require.Equal(t, 1, log.Count("trusted_headers"))
	require.Equal(t, 1, log.Count("X-Forwarded-Host"))

	for peer, lines := range map[string]int{"127.0.0.1:4711": 1, "[::1]:4711": 1, "198.51.100.1:4711": 0} {
		var log logged.Buffer
		serveConfig(t, recordingSession(&got), handler.Config{Logger: log.Logger()}, func(s *site) {
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
				r.RemoteAddr = peer
				r.Header.Set("X-Forwarded-Proto", "https")
				s.handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
		require.Equal(t, lines, log.Count("trusted_proxies"), peer)
	}
}

// One client's headers must not choose what another one gets: for each header the
// application responds with all that it has seen, for all caches to keep.
func TestTurbocacheIsNotPoisonedByAnyHeader(t *testing.T) {
	names := append(proxiesHeaders(), proxyheader.Always()...)
	names = append(names,
		"Authorization", "Baggage", "Content-Type", "Cf-Ray", "From", "If-Match", "If-Range", "If-Unmodified-Since",
		"Max-Forwards",
		"Origin", "Range", "Sec-Anything", "Te", "Via", "X-Anything", "X-Api-Version", "X-Http-Method",
		"X-Http-Method-Override", "X-Method-Override", "X-Requested-With",
		"X-Wap-Profile",
	)
	app := scripted(func(r *http.Request, c net.Conn) bool {
		// What each request has of its own.
		r.Header.Del("X-Request-Id")
		r.Header.Del("X-Request-Start")
		var body strings.Builder
		_ = r.Header.Write(&body)
		response := &http.Response{
			StatusCode:    http.StatusOK,
			ProtoMajor:    1,
			ProtoMinor:    1,
			ContentLength: int64(body.Len()),
			Header:        http.Header{"Cache-Control": {"public, max-age=60"}},
			Body:          io.NopCloser(strings.NewReader(body.String())),
		}
		_ = response.Write(c)

		return false
	})

	trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for peer, cfg := range map[string]handler.Config{
		"stranger":       {},
		"trusted":        {TrustedProxies: trusted},
		"trusted, named": {TrustedProxies: trusted, TrustedHeaders: proxiesHeaders()},
	} {
		serveConfig(t, app, cfg, func(s *site) {
			for i, name := range names {
				if name == "X-Request-Id" || name == "X-Request-Start" {
					continue
				}

				path := "/" + strings.Repeat("x", i%100) + name
				value := "192.0.2.9, evil"
				if name == "X-Forwarded-Proto" {
					value = "https"
				}

				_, own := s.do(http.MethodGet, path, "", name, value)
				_, clean := s.do(http.MethodGet, path, "")
				require.NotContains(s, clean, value, "%s: %s", peer, name)
				require.NotContains(s, clean, "evil", "%s: %s", peer, name)
				_, again := s.do(http.MethodGet, path, "")
				require.Equal(s, clean, again, "%s: %s", peer, name)

				// Nor does the one who sends it get what is for others.
				_, late := s.do(http.MethodGet, path, "", name, value)
				require.Equal(s, own, late, "%s: %s", peer, name)
			}

			require.NotZero(s, s.handler.Inspect().Turbocaching.Hits)
		})
	}
}

// Whoever is not the first in X-Forwarded-For may have made up those before.
func TestTurbocacheDoesNotBelieveWhatTheClientForwards(t *testing.T) {
	app, _ := counting("Cache-Control: max-age=60")
	cfg := handler.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	serveConfig(t, app, cfg, func(s *site) {
		for _, row := range []struct{ chain, want string }{
			{"evil, 1.2.3.4", "1"},
			{"6.6.6.6, 1.2.3.4", "2"},
			{"1.2.3.4", "3"},
			{"1.2.3.4", "3"},
			{"5.6.7.8, 192.0.2.1", "3"},
		} {
			_, body := s.do(http.MethodGet, "/", "", "X-Forwarded-For", row.chain)
			require.Equal(s, row.want, body, row.chain)
		}
	})
}
