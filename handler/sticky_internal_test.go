package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Faults: R-47.
func TestCookiesAreReadUpToALimit(t *testing.T) {
	route := newStickyRoute(&StickySessions{Enabled: true}, "", "")
	for cookies, want := range map[string]uint32{
		"_passenger_route=7": 7,
		strings.Repeat("a=b; ", 179) + "_passenger_route=7":          7,
		strings.Repeat("a=b; ", maxCookies-1) + "_passenger_route=7": 7,
		strings.Repeat("a=b; ", maxCookies) + "_passenger_route=7":   0,
		strings.Repeat(";", 100000) + "_passenger_route=7":           0,
	} {
		require.Equal(t, want, route.wanted(http.Header{"Cookie": {cookies}}), "%.20q", cookies)
	}
}
