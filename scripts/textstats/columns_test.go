package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLongLinesAreFound(t *testing.T) {
	fits := strings.Repeat("\t", 10) + strings.Repeat("ä", 80)
	require.Equal(t, []int{2, 4}, longLines(fits+"\n"+fits+"x\n\n"+strings.Repeat("x", 121)))
}

func TestLongLinesOfMarkdownAreThoseOfItsProse(t *testing.T) {
	long := strings.Repeat("word ", 30)
	require.Equal(t, []int{1, 9, 10}, longLinesOfMarkdown(strings.Join([]string{
		long,
		"| " + long,
		"    " + long,
		"[" + long + "](README.md)",
		long + "https://example.com",
		"```",
		long + "\n```",
		"- " + long,
		"  " + long,
	}, "\n")))
}

// textstats -list names the places.
func TestTheTreeHasNoLongLines(t *testing.T) {
	var total stats
	require.NoError(t, walk("../..", false, false, &total))
	require.Zero(t, total.longestLines, "go run ./scripts/textstats -list")
}
