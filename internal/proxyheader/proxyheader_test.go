package proxyheader_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyheader"
)

func TestHeadersThatApplicationsBelieveAreOfProxies(t *testing.T) {
	for _, name := range proxyheader.Names() {
		require.Equal(t, proxyheader.NamedOnly, proxyheader.Of(http.CanonicalHeaderKey(name)), name)
	}

	for _, name := range proxyheader.Always() {
		require.Equal(t, proxyheader.TrustedProxy, proxyheader.Of(http.CanonicalHeaderKey(name)), name)
	}

	for _, name := range []string{
		"X-Forwarded-Anything", "X-Forwardedfor", "X-Original-Anything", "X-Auth-Request-Access-Token",
		"X-Ssl-Cipher", "X-Accel-Anything",
	} {
		require.Equal(t, proxyheader.NamedOnly, proxyheader.Of(name), name)
	}
}

func TestHeadersOfClientsAreOfAnybody(t *testing.T) {
	for _, name := range []string{
		"", "Accept", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "From", "Origin", "Range",
		"Referer",
		"Sec-Fetch-Site", "User-Agent", "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", "X-Custom",
		"X-Http-Method-Override",
		"X-Method-Override", "X-Requested-With", "X-User-Id", "Via", "Baggage", "Remote-Addr",
	} {
		require.Equal(t, proxyheader.Anybody, proxyheader.Of(name), name)
	}
}

// Each name is there once, whatever its spelling.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range append(proxyheader.Names(), proxyheader.Always()...) {
		canonical := http.CanonicalHeaderKey(name)
		require.False(t, seen[canonical], name)
		seen[canonical] = true
	}
}

func TestConfigurationPageNamesEveryHeader(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	require.NoError(t, err)

	for _, name := range append(proxyheader.Names(), proxyheader.Always()...) {
		require.Contains(t, strings.ToLower(string(page)), "`"+strings.ToLower(name)+"`")
	}
}
