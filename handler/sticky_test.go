package handler_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// pidApp responds with the pid of its process and the cookies that it got.
func pidApp() spawnertest.Script {
	return spawnertest.Script{HandlerFor: func(p *spawnertest.Process) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "app", Value: "own"})
			_, _ = fmt.Fprint(w, p.Info().PID, " ", r.Header.Get("Cookie"))
		})
	}}
}

// twoProcesses occupies the process that would serve next, and returns how to
// let it go.
func (s *site) twoProcesses() (release func()) {
	s.Helper()
	o := passenger.Options{App: s.cfg.Options.App, MinProcesses: 2, MaxProcesses: 2}
	first, err := s.pool.Get(s.Context(), &o)
	require.NoError(s, err)
	second, err := s.pool.Get(s.Context(), &o)
	require.NoError(s, err)
	require.NotEqual(s, first.PID(), second.PID())
	second.Close(passenger.KeepAlive)

	return func() { first.Close(passenger.KeepAlive) }
}

func stickyConfig() handler.Config {
	return handler.Config{StickySessions: handler.StickySessions{Enabled: true}}
}

// routeOf returns the value of the routing cookie, which has to be there once.
func routeOf(s *site, resp *http.Response, name string) string {
	s.Helper()

	var found []string
	for _, line := range resp.Header["Set-Cookie"] {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			value, _, _ = strings.Cut(value, ";")
			found = append(found, value)
		}
	}

	require.Len(s, found, 1, "%v", resp.Header)
	require.Regexp(s, `^[1-9]\d*$`, found[0])

	return found[0]
}

func TestStickySessions(t *testing.T) {
	serveConfig(t, pidApp(), stickyConfig(), func(s *site) {
		release := s.twoProcesses()
		resp, served := s.do(http.MethodGet, "/", "")
		release()
		require.Contains(s, resp.Header["Set-Cookie"], "app=own", "the application's own cookies stay")
		route := routeOf(s, resp, handler.DefaultStickyCookieName)
		require.Contains(s, resp.Header["Set-Cookie"], handler.DefaultStickyCookieName+"="+route+
			"; Path=/; SameSite=Lax")

		pid, _, _ := strings.Cut(served, " ")
		for range 5 {
			again, body := s.do(http.MethodGet, "/", "", "Cookie", "a=b; "+handler.DefaultStickyCookieName+"="+route+
				"; c=d")
			require.True(s, strings.HasPrefix(body, pid+" a=b; "), "%s instead of %s", body, pid)
			require.Equal(s, route, routeOf(s, again, handler.DefaultStickyCookieName), "on every response")
		}
	})
}

// A cookie that names no process leads to any process, and to a new cookie.
// Faults: D18.
func TestStickyCookieThatNamesNoProcessIsReplaced(t *testing.T) {
	serveConfig(t, pidApp(), stickyConfig(), func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "")

		route := routeOf(s, resp, handler.DefaultStickyCookieName)
		for _, forged := range []string{
			"1", "0", "-1", "", "x", "4294967295", "4294967296", "99999999999999999999",
			route + "0000000000", "\"" + route + "\"",
		} {
			resp, _ := s.do(http.MethodGet, "/", "", "Cookie", handler.DefaultStickyCookieName+"="+forged)
			require.Equal(s, http.StatusOK, resp.StatusCode, forged)
			require.Equal(s, route, routeOf(s, resp, handler.DefaultStickyCookieName))
		}

		s.factory.LiveProcesses()[0].Die("signal: killed")
		resp, _ = s.do(http.MethodGet, "/", "", "Cookie", handler.DefaultStickyCookieName+"="+route)
		require.Equal(s, http.StatusOK, resp.StatusCode)
		require.NotEqual(s, route, routeOf(s, resp, handler.DefaultStickyCookieName))
	})
}

// TestStickyCookieIsSecure: where the client came by HTTPS, as a trusted
// proxy says.
func TestStickyCookieIsSecure(t *testing.T) {
	for trusted, want := range map[string]string{
		"192.0.2.0/24":    "; SameSite=Lax; Secure",
		"198.51.100.0/24": "; SameSite=Lax",
	} {
		cfg := stickyConfig()
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(trusted)}
		serveConfig(t, pidApp(), cfg, func(s *site) {
			resp, _ := s.do(http.MethodGet, "/", "", "X-Forwarded-Proto", "https")
			route := routeOf(s, resp, handler.DefaultStickyCookieName)
			require.Contains(s, resp.Header["Set-Cookie"], handler.DefaultStickyCookieName+"="+route+"; Path=/"+want)
		})
	}
}

func TestStickyCookieIsConfigured(t *testing.T) {
	cfg := stickyConfig()
	cfg.Options.App.BaseURI = "/shop"
	cfg.StickySessions.CookieName, cfg.StickySessions.CookieAttributes = "route", "SameSite=None; Secure;"
	serveConfig(t, pidApp(), cfg, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/shop/x", "")
		require.Contains(s, resp.Header["Set-Cookie"], "route="+routeOf(s, resp, "route")+
			"; Path=/shop; SameSite=None; Secure")
		resp, _ = s.do(http.MethodGet, "/other", "")
		require.Equal(s, http.StatusNotFound, resp.StatusCode)
		require.Empty(s, resp.Header["Set-Cookie"], "no process has responded")
	})

	for _, bad := range []handler.StickySessions{
		{Enabled: true, CookieName: "a=b"},
		{Enabled: true, CookieName: "a b"},
		{Enabled: true, CookieAttributes: "Secure\r\nX: y"},
	} {
		require.ErrorContains(t, bad.Validate(), "StickySessions.Cookie")
	}
}

// The processes for paths of unlimited concurrency are not those for pages, and a browser has a cookie for each:
// Socket.IO, which such paths are for, ends a session whose requests reach another process.
func TestStickySessionsOfUnlimitedPathsAreTheirOwn(t *testing.T) {
	cfg := stickyConfig()
	cfg.UnlimitedConcurrencyPaths = []string{"/socket.io", "/cable"}
	serveConfig(t, pidApp(), cfg, func(s *site) {
		browser, err := cookiejar.New(nil)
		require.NoError(s, err)

		served := func(path string) (pid string) {
			at, err := url.Parse("http://example.com" + path)
			require.NoError(s, err)

			asked, err := http.NewRequestWithContext(s.Context(), http.MethodGet, at.String(), http.NoBody)
			require.NoError(s, err)

			for _, c := range browser.Cookies(at) {
				asked.AddCookie(c)
			}

			resp, body := s.do(http.MethodGet, path, "", "Cookie", asked.Header.Get("Cookie"))
			require.Equal(s, http.StatusOK, resp.StatusCode)
			browser.SetCookies(at, resp.Cookies())
			pid, _, _ = strings.Cut(body, " ")

			return pid
		}

		require.NoError(s, s.pool.SetMaxPoolSize(3))
		release := s.twoProcesses()
		page := served("/")
		release()

		socket := served("/socket.io/?transport=polling")
		require.NotEqual(s, page, socket)

		for range 3 {
			require.Equal(s, page, served("/"))
			require.Equal(s, socket, served("/socket.io/?transport=polling"))
			require.Equal(s, socket, served("/cable"))
		}
	})
}

// A semicolon would end the attribute: the cookie is for what is above such a segment.
func TestStickyCookieOfABaseURIWithASemicolon(t *testing.T) {
	for base, path := range map[string]string{"/a;b": "/", "/a/b;c/d": "/a", "/caf\u00e9;v=1": "/", "/a%3Bb": "/"} {
		cfg := stickyConfig()
		cfg.Options.App.BaseURI = base
		serveConfig(t, pidApp(), cfg, func(s *site) {
			at := &url.URL{Path: strings.ReplaceAll(base, "%3B", ";") + "/x"}
			resp, _ := s.do(http.MethodGet, at.EscapedPath(), "")
			route := routeOf(s, resp, handler.DefaultStickyCookieName)
			require.Contains(s, resp.Header["Set-Cookie"], handler.DefaultStickyCookieName+"="+route+"; Path="+path+
				"; SameSite=Lax")
		})
	}
}

func TestStickySessionsAreOff(t *testing.T) {
	serve(t, pidApp(), func(s *site) {
		resp, _ := s.do(http.MethodGet, "/", "", "Cookie", handler.DefaultStickyCookieName+"=1")
		require.Equal(s, []string{"app=own"}, resp.Header["Set-Cookie"])
	})
}
