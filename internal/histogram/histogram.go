// Package histogram measures how long things take, without locks and without memory for each of them.
package histogram

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Buckets has the upper bounds, in seconds and increasing order, of the few buckets that monitoring systems store.
type Buckets []float64

// The buckets of requests and those of starts and restarts. A web page is good below 0.1 s, and bad beyond 1 s; a start
// takes seconds.
var (
	ForRequests = Buckets{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	ForStarts   = Buckets{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120, 300}
)

// Beside the few buckets there are fine ones, for quantiles: perOctave of them between a time and twice that time, so
// that a quantile is right to within 5 %. They are those that Prometheus calls native, of schema 3: the upper bound of
// bucket i is 2^(i/8) seconds. (Source: Prometheus, "Native Histograms".)
const (
	// Schema is that of Snapshot.Fine.
	Schema    = 3
	perOctave = 1 << Schema
	// FirstFine is the index of the first of Snapshot.Fine, which has all that is shorter too: up to 61 us.
	FirstFine = -14 * perOctave
	// lastFine has all that is longer, too: beyond an hour.
	lastFine = 12 * perOctave
	numFine  = lastFine - FirstFine + 1
)

// maxBuckets bounds Buckets.
const maxBuckets = 15

// Histogram counts durations. The zero value counts none; make one by New. It is safe for concurrent use.
type Histogram struct {
	bounds Buckets
	counts [maxBuckets + 1]atomic.Uint64
	fine   [numFine]atomic.Uint64
	sum    atomic.Int64
}

// New returns a Histogram with these buckets, at most 15, which the caller must not change any more.
func New(bounds Buckets) *Histogram {
	if len(bounds) > maxBuckets {
		panic("histogram: too many buckets")
	}

	return &Histogram{bounds: bounds}
}

// Observe counts one duration. A negative one counts as none.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	seconds := d.Seconds()

	i := 0
	for i < len(h.bounds) && seconds > h.bounds[i] {
		i++
	}

	h.counts[i].Add(1)
	h.fine[fineIndex(seconds)-FirstFine].Add(1)
	h.sum.Add(int64(d))
}

// fractions are the upper bounds of the fine buckets from 0.5 to 1.
var fractions = [perOctave]float64{
	0.5452538663326288, 0.5946035575013605, 0.6484197773255048, 0.7071067811865475,
	0.7711054127039704, 0.8408964152537144, 0.9170040432046711, 1,
}

func fineIndex(seconds float64) int {
	if seconds <= 0 {
		return FirstFine
	}

	fraction, exponent := math.Frexp(seconds)
	// An upper bound is part of its bucket.
	if fraction == 0.5 {
		return min(max((exponent-1)*perOctave, FirstFine), lastFine)
	}

	i := 0
	for fraction > fractions[i] {
		i++
	}

	return min(max((exponent-1)*perOctave+i+1, FirstFine), lastFine)
}

// Snapshot is the state of a Histogram at one moment. The zero value is that of one without any duration.
type Snapshot struct {
	// Bounds are the upper bounds of the first Counts, in seconds and increasing order; the last of Counts, one more,
	// has what is longer. Bounds are shared: do not change them.
	Bounds []float64
	Counts []uint64
	// Fine are the counts of the buckets of Schema from FirstFine on; nil means that there are none.
	Fine []uint64
	// Count is the number of durations, Sum their sum.
	Count uint64
	Sum   time.Duration
}

// Inspect returns the state of the histogram; that of nil is zero.
func (h *Histogram) Inspect() Snapshot {
	if h == nil {
		return Snapshot{}
	}

	s := Snapshot{
		Bounds: h.bounds,
		Counts: make([]uint64, len(h.bounds)+1),
		Fine:   make([]uint64, numFine),
		Sum:    time.Duration(h.sum.Load()),
	}
	for i := range s.Counts {
		s.Counts[i] = h.counts[i].Load()
		// The sum of the counts, since others may observe between two loads.
		s.Count += s.Counts[i]
	}

	for i := range s.Fine {
		s.Fine[i] = h.fine[i].Load()
	}

	return s
}

// Add returns what both have counted. Their bounds must be the same, or one of them zero.
func (s Snapshot) Add(other Snapshot) Snapshot {
	return s.combine(other, func(a, b uint64) uint64 { return a + b }, s.Sum+other.Sum)
}

// Since returns what was counted after earlier, a state of the same histogram.
func (s Snapshot) Since(earlier Snapshot) Snapshot {
	return s.combine(earlier, func(a, b uint64) uint64 { return a - min(a, b) }, s.Sum-earlier.Sum)
}

func (s Snapshot) combine(other Snapshot, value func(a, b uint64) uint64, sum time.Duration) Snapshot {
	// The zero value has the buckets of the other one.
	if len(s.Counts) == 0 {
		s.Bounds, s.Counts, s.Fine = other.Bounds, make([]uint64, len(other.Counts)), make([]uint64, len(other.Fine))
	}

	result := Snapshot{
		Bounds: s.Bounds,
		Counts: slices.Clone(s.Counts),
		Fine:   slices.Clone(s.Fine),
		Sum:    sum,
	}
	for i := range min(len(result.Counts), len(other.Counts)) {
		result.Counts[i] = value(result.Counts[i], other.Counts[i])
	}

	for i := range min(len(result.Fine), len(other.Fine)) {
		result.Fine[i] = value(result.Fine[i], other.Fine[i])
	}

	for _, n := range result.Counts {
		result.Count += n
	}

	return result
}

// Quantile returns the duration that the share q, from 0 to 1, of all does not exceed: 0.95 is for the 95th percentile.
// It is zero if there is none.
func (s Snapshot) Quantile(q float64) time.Duration {
	var total uint64
	for _, n := range s.Fine {
		total += n
	}

	if total == 0 {
		return 0
	}

	rank := uint64(math.Ceil(q * float64(total)))
	var below uint64

	for i, n := range s.Fine {
		below += n
		if n > 0 && below >= max(rank, 1) {
			return middle(FirstFine + i)
		}
	}

	return 0
}

// middle is the geometric middle of a fine bucket.
func middle(index int) time.Duration {
	seconds := math.Exp2((float64(index) - 0.5) / perOctave)

	return time.Duration(seconds * float64(time.Second))
}
