package agent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/urlpath"
)

func TestHostsAreWrittenAsRequestsHaveThem(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"example.com": "example.com", "Example.COM.": "example.com", "example.com:8080": "example.com",
		"localhost":     "localhost",
		"*.example.com": "*.example.com", "*.Example.com.": "*.example.com", "my_app.example.com": "my_app.example.com",
		"bücher.example": "xn--bcher-kva.example", "BÜCHER.example": "xn--bcher-kva.example",
		"*.bücher.example":     "*.xn--bcher-kva.example",
		"bu\u0308cher.example": "xn--bcher-kva.example", "例え。テスト": "xn--r8jz45g.xn--zckzah", "faß.de": "xn--fa-hia.de",
		"xn--bcher-kva.example": "xn--bcher-kva.example", "127.0.0.1": "127.0.0.1", "[::1]": "::1", "::1": "::1",
		"[0:0::1]:80":      "::1",
		"a--b.example.com": "a--b.example.com",
	} {
		host, err := parseHost(text)
		require.NoError(t, err, text)
		require.Equal(t, want, host, text)
	}
}

func TestHostsThatNoRequestHasAreRefused(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"": "one is empty", "*": "is every host: leave hosts out", "*.": "is every host",
		"www.*":          "asterisk that is not its whole first label",
		"a*.example.com": "asterisk", "*.*.example.com": "asterisk", "*example.com": "asterisk",
		"https://example.com": "is a URL",
		"example.com/shop":    "has a path: write that as path", "exa mple.com": "is no host name",
		"a..b": "is no host name", ".example.com": "is no host name",
		"user@example.com": "is no host name", "*.127.0.0.1": "wildcard of an address", strings.Repeat("x", 64) +
			".com": "is no host name",
		strings.Repeat("x.", 130) + "com": "is no host name", "bü cher.example": "is no host name",
		"example.com?x": "is no host name", "example.com\x00": "is no host name",
	} {
		_, err := parseHost(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestRequestsGoToTheMostSpecificHostAndPath(t *testing.T) {
	t.Parallel()
	h := &hosts{mounts: map[string][]mount{}, wildcards: true}
	add := func(host, path, name string) {
		base, err := urlpath.Parse(path)
		require.NoError(t, err)
		host = strings.TrimPrefix(host, "*")
		h.mounts[host] = append(h.mounts[host],
			mount{base, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(name))
			})})
	}
	add("example.com", "", "exact")
	add("*.example.com", "/café", "wildcard's café")
	add("*.example.com", "", "wildcard")
	add("*.sub.example.com", "", "nearer wildcard")
	add("one.example.com", "/a%2Fb", "one's a/b")
	add("one.example.com", "", "one")
	add("xn--bcher-kva.example", "", "books")
	add("::1", "", "IPv6")
	add(anyHost, "", "rest")

	for _, test := range []struct{ host, target, want string }{
		{"example.com", "/", "exact"},
		{"EXAMPLE.com.:80", "/", "exact"},
		{"www.example.com", "/", "wildcard"},
		{"a.b.example.com", "/x", "wildcard"},
		{"WWW.Example.Com:8080", "/caf%C3%A9/x", "wildcard's café"},
		{"www.example.com", "/c%61f%c3%a9", "wildcard's café"},
		{"www.example.com", "/caf%C3%A9x", "wildcard"},
		{"x.sub.example.com", "/", "nearer wildcard"},
		{"sub.example.com", "/", "wildcard"},
		{"one.example.com", "/a%2fb/c", "one's a/b"},
		{"one.example.com", "/a/b/c", "one"},
		{".example.com", "/", "rest"},
		{"notexample.com", "/", "rest"},
		{"example.com.evil.example", "/", "rest"},
		{"xn--bcher-kva.example", "/", "books"},
		{"[::1]", "/", "IPv6"},
		{"[::1]:80", "/", "IPv6"},
		{"", "/", "rest"},
		{".", "/", "rest"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, test.target, http.NoBody)
		r.Host = test.host
		h.ServeHTTP(w, r)
		require.Equal(t, test.want, w.Body.String(), "%s%s", test.host, test.target)
	}
}

func TestHealthIsAskedByAHostOfTheApplications(t *testing.T) {
	t.Parallel()

	for want, hosts := range map[string][]string{
		"":                      nil,
		"example.com":           {"*.example.com", "Example.com:80"},
		"www.example.com":       {"*.example.com"},
		"xn--bcher-kva.example": {"bücher.example"},
		"[::1]":                 {"[::1]"},
	} {
		require.Equal(t, want, HealthHost(hosts))
	}
}
