package errorpage

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Faults: R-47.
func TestAcceptIsReadUpToALimit(t *testing.T) {
	long := func(member string, count int) string { return strings.Repeat(member+",", count-1) + member }
	for _, test := range []struct {
		name   string
		accept []string
		ranges int
		format Format
	}{
		{"none", nil, 0, HTML},
		{
			"a browser's",
			[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"},
			5,
			HTML,
		},
		{"a program's", []string{"application/json"}, 1, JSON},
		{"one that is too long", []string{long("a/b", 5000) + ",application/json"}, maxMediaRanges, HTML},
		{"the first ones of a long one", []string{"application/json," + long("a/b", 5000)}, maxMediaRanges, JSON},
		{"many", append(make([]string, 100), "application/json"), 0, HTML},
		{"members that are too long", []string{"a/b;c=" + strings.Repeat("d", 5000) + ",text/plain"}, 1, Text},
		{"members without an end", []string{strings.Repeat(",", 100000)}, 0, HTML},
	} {
		h := http.Header{"Accept": test.accept}
		require.Len(t, acceptedRanges(h), test.ranges, test.name)
		require.Equal(t, test.format, ChooseFormat(h), test.name)
	}

	h := http.Header{"Content-Type": {"application/json;a=" + strings.Repeat("b", 5000)}}
	require.Equal(t, HTML, ChooseFormat(h))
}
