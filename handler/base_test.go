package handler_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/sessionproto"
	"github.com/gopassenger/passenger/spawner/spawnertest"
)

// ask sends a request line as it is and returns the status.
func (s *site) ask(target string) string {
	s.Helper()
	response := s.raw("GET " + target + " HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	status, _, _ := strings.Cut(strings.TrimPrefix(response, "HTTP/1.1 "), " ")

	return status
}

func TestBaseURIIsComparedByDecodedSegments(t *testing.T) {
	for base, rows := range map[string]map[string][2]string{
		"/café shop": { // targets with SCRIPT_NAME and PATH_INFO
			"/caf%C3%A9%20shop":          {"/caf%C3%A9%20shop", "/"},
			"/caf%c3%a9%20shop/a%2Fb":    {"/caf%C3%A9%20shop", "/a%2Fb"},
			"/c%61f%C3%A9%20shop/":       {"/caf%C3%A9%20shop", "/"},
			"/caf\xc3\xa9%20shop/x?y":    {"/caf%C3%A9%20shop", "/x"},
			"/caf%C3%A9%20shopping":      {},
			"/caf%C3%A9":                 {},
			"/caf%C3%A9+shop":            {},
			"/caf%E9%20shop":             {},
			"/x/../caf%C3%A9%20shop":     {},
			"http://x/caf%C3%A9%20shop/": {"/caf%C3%A9%20shop", "/"},
		},
		"/caf%C3%A9%20shop": {
			"/caf%C3%A9%20shop/x": {"/caf%C3%A9%20shop", "/x"},
			"/caf%c3%a9%20shop":   {"/caf%C3%A9%20shop", "/"},
		},
		"/blog": {
			"/bl%6Fg/x":       {"/blog", "/x"},
			"/bl%6fg":         {"/blog", "/"},
			"/blog;v=1":       {},
			"/blog%2Fx":       {},
			"/blog%3Bv":       {},
			"/blog/..%2Fx":    {"/blog", "/..%2Fx"},
			"/%2E/blog":       {},
			"/blog/%2e%2e/x;": {"/blog", "/%2e%2e/x;"},
		},
		"/bl%6Fg/": {"/blog/x": {"/blog", "/x"}, "/bl%6Fg": {"/blog", "/"}},
		"/a/b":     {"/a/b": {"/a/b", "/"}, "/a%2Fb": {}, "/a/%62/c": {"/a/b", "/c"}},
		"/a%2Fb":   {"/a%2fb/c": {"/a%2Fb", "/c"}, "/a/b/c": {}},
	} {
		var got sessionproto.Header
		var cfg handler.Config
		cfg.Options.App.BaseURI = base
		serveConfig(t, recordingSession(&got), cfg, func(s *site) {
			for target, want := range rows {
				got = nil
				status := s.ask(target)
				if want[0] == "" {
					require.Equal(s, "404", status, "%s below %s", target, base)
					require.Nil(s, got)
					continue
				}

				require.Equal(s, "200", status, "%s below %s", target, base)
				require.Equal(s, want, [2]string{got["SCRIPT_NAME"], got["PATH_INFO"]}, "%s below %s", target, base)
			}
		})
	}
}

func TestCookieOfABaseURIIsWrittenAsURLsAre(t *testing.T) {
	cfg := stickyConfig()
	cfg.Options.App.BaseURI = "/café shop"
	serveConfig(t, pidApp(), cfg, func(s *site) {
		resp, _ := s.do(http.MethodGet, "/caf%C3%A9%20shop/", "")
		require.Contains(s, strings.Join(resp.Header["Set-Cookie"], "\n"), "; Path=/caf%C3%A9%20shop;")
	})
}

func TestPathsOfUnlimitedConcurrencyAreComparedByDecodedSegments(t *testing.T) {
	cfg := handler.Config{UnlimitedConcurrencyPaths: []string{"/événements"}}
	serveConfig(t, spawnertest.Script{Handler: http.HandlerFunc(echo)}, cfg, func(s *site) {
		for target, groups := range map[string]int{"/%C3%A9v%C3%A9nements/1": 1, "/%c3%a9v%C3%A9nement%73": 1} {
			require.Equal(s, "200", s.ask(target))
			require.Len(s, s.pool.Inspect().Groups, groups)
			require.Contains(s, s.pool.Inspect().Groups[0].Name, handler.UnlimitedGroupSuffix)
		}

		require.Equal(s, "200", s.ask("/%C3%A9v%C3%A9nements%2F1"))
		require.Len(s, s.pool.Inspect().Groups, 2, "an escaped slash separates nothing")
	})
}

func TestBaseURIThatNoURLHasIsRefused(t *testing.T) {
	pool, err := passenger.New(passenger.Config{Spawner: spawnertest.New(spawnertest.Script{})})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()

	for base, want := range map[string]string{
		"shop":      `the base URI "shop" does not begin with a slash: write it as /shop`,
		"/100%":     `the base URI "/100%" has a percent sign that begins no escape: write it as %25`,
		"/a?b":      `the base URI "/a?b" has a query or fragment`,
		"/a#b":      `the base URI "/a#b" has a query or fragment`,
		"/a/../b":   `the base URI "/a/../b" has the segment "..", which clients remove from URLs: write the path without it`,
		"/a/%2E%2e": `which clients remove from URLs`,
		"/a%00":     `has a control character: leave it out`,
	} {
		var cfg handler.Config
		cfg.Options.App.Root, cfg.Options.App.BaseURI = "/app", base
		h, err := handler.New(pool, cfg)
		require.Nil(t, h)
		require.ErrorContains(t, err, want)
	}
}
