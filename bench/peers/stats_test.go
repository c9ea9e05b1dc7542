package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	require.Equal(t, spread{Median: 3, Min: 1, Max: 9}, spreadOf([]float64{9, 1, 3}))
	require.Equal(t, spread{Median: 2.5, Min: 1, Max: 9}, spreadOf([]float64{9, 1, 3, 2}))
	require.Zero(t, spreadOf(nil))
}

// A round that failed on either side has no ratio.
func TestRatios(t *testing.T) {
	ours := row{Rounds: []round{{Rate: 100}, {Rate: 200}, {failed: true}, {Rate: 300}}}
	theirs := row{Rounds: []round{{Rate: 50}, {failed: true}, {Rate: 10}, {Rate: 100}}}
	theirs.summarize(&ours)
	require.Equal(t, spread{Median: 2.5, Min: 2, Max: 3}, theirs.Ratio)
	require.Equal(t, spread{Median: 50, Min: 10, Max: 100}, theirs.Rate)
}
