package main

import (
	"cmp"
	"slices"
	"time"
)

// spread is the median of some figures with the least and the most of them.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}

	return spread{median(values), slices.Min(values), slices.Max(values)}
}

// median of an even number of values is the mean of the two in the middle.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}

	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[T])
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}

	return (sorted[middle-1] + sorted[middle]) / 2
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
