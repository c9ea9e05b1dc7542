package hostile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	fewestRequests = 100
	fewestAnswers  = 60
)

// covered are the rules and faults that need a row each.
var covered = strings.Fields("R-30 R-31 R-32 R-33 R-34 R-35 R-36 R-37 R-38 R-39 R-40 R-41 R-42 R-43 R-44 R-45 R-46 " +
	"R-52 R-61 R-62 " +
	"C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C19 C22 D8 D9 D13 D14 D15 D16 D17 D19 D20")

func TestEachRuleHasARow(t *testing.T) {
	requests, answers := requestRows(), answerRows()
	require.GreaterOrEqual(t, len(requests)-len(codingSpellingRows()), fewestRequests)
	require.GreaterOrEqual(t, len(answers), fewestAnswers)

	names := make([]string, 0, len(requests)+len(answers))
	for _, row := range requests {
		names = append(names, row.name)
	}

	for _, row := range answers {
		names = append(names, row.name)
	}

	words := map[string]bool{}
	for _, name := range names {
		for word := range strings.FieldsSeq(name) {
			words[word] = true
		}
	}

	for _, id := range covered {
		require.True(t, words[id], "no row has %s in its name", id)
	}

	for name := range open {
		require.True(t, slices.Contains(names, name), "%q is in open_test.go and no row", name)
	}

	different := slices.Compact(slices.Sorted(slices.Values(names)))
	require.Len(t, different, len(names), "two rows have the same name")
	t.Logf("%d requests, %d of them spellings of a coding, and %d answers", len(requests), len(codingSpellingRows()),
		len(answers))
}
