package handler

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a head lists is read up to a limit, however long the list is.
// Faults: R-47.
func TestListsOfAHeadAreReadUpToALimit(t *testing.T) {
	long := func(member string, count int) string { return strings.Repeat(member+",", count-1) + member }
	for _, test := range []struct {
		name   string
		accept []string
		ranges int
		format format
	}{
		{"none", nil, 0, formatHTML},
		{
			"a browser's",
			[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"},
			5,
			formatHTML,
		},
		{"a program's", []string{"application/json"}, 1, formatJSON},
		{"one that is too long", []string{long("a/b", 5000) + ",application/json"}, maxMediaRanges, formatHTML},
		{"the first ones of a long one", []string{"application/json," + long("a/b", 5000)}, maxMediaRanges, formatJSON},
		{"many", append(make([]string, 100), "application/json"), 0, formatHTML},
		{"members that are too long", []string{"a/b;c=" + strings.Repeat("d", 5000) + ",text/plain"}, 1, formatText},
		{"members without an end", []string{strings.Repeat(",", 100000)}, 0, formatHTML},
	} {
		h := http.Header{"Accept": test.accept}
		require.Len(t, acceptedRanges(h), test.ranges, test.name)
		require.Equal(t, test.format, chooseFormat(h), test.name)
	}

	h := http.Header{"Content-Type": {"application/json;a=" + strings.Repeat("b", 5000)}}
	require.Equal(t, formatHTML, chooseFormat(h))

	route := newStickyRoute(&StickySessions{Enabled: true}, "")
	for cookies, want := range map[string]uint32{
		"_passenger_route=7": 7,
		strings.Repeat("a=b; ", 179) + "_passenger_route=7":        7,
		strings.Repeat("a=b; ", maxCookies) + "_passenger_route=7": 0,
		strings.Repeat(";", 100000) + "_passenger_route=7":         0,
	} {
		require.Equal(t, want, route.wanted(http.Header{"Cookie": {cookies}}), "%.20q", cookies)
	}
}
