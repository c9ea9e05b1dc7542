package hostile_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/catalogue"
)

const (
	minRequests  = 100
	minResponses = 60
)

var codesOfRow = regexp.MustCompile(`\(([^()]+)\)`)

// codesOf are the codes in the names of rows.
func codesOf(names []string) []string {
	var codes []string
	for _, name := range names {
		found := codesOfRow.FindAllStringSubmatch(name, -1)
		for _, f := range found {
			codes = append(codes, strings.Fields(f[1])...)
		}
	}

	slices.Sort(codes)

	return slices.Compact(codes)
}

// The comments of the tests that play the rows name exactly the codes that rows have.
func TestEachCodeHasARow(t *testing.T) {
	requests, responses := requestRows(), responseRows()
	require.GreaterOrEqual(t, len(requests)-len(codingSpellingRows()), minRequests)
	require.GreaterOrEqual(t, len(responses), minResponses)

	ofRequests, ofResponses := make([]string, 0, len(requests)), make([]string, 0, len(responses))
	for _, row := range requests {
		ofRequests = append(ofRequests, row.name)
	}

	for _, row := range responses {
		ofResponses = append(ofResponses, row.name)
	}

	names := slices.Concat(ofRequests, ofResponses)
	for _, name := range names {
		require.Regexp(t, ` \([^()]+\)$`, name, "the row has no code")
	}

	tests, err := catalogue.Tests(".")
	require.NoError(t, err)

	commented := map[string][]string{}
	for _, test := range tests {
		slices.Sort(test.Codes)
		commented[test.Name] = test.Codes
	}

	require.Equal(t, codesOf(ofRequests), commented["TestRequests"])
	require.Equal(t, codesOf(ofResponses), commented["TestResponses"])

	for name := range open {
		require.Contains(t, names, name, "%q is in open_test.go and no row", name)
	}

	different := slices.Compact(slices.Sorted(slices.Values(names)))
	require.Len(t, different, len(names), "two rows have the same name")
	t.Logf("%d requests, %d of them spellings of a coding, and %d responses", len(requests),
		len(codingSpellingRows()), len(responses))
}
