package histogram

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDurationsAreCountedInTheBucketsTheyBelongTo(t *testing.T) {
	h := New(Buckets{.005, .01, 1})
	for _, d := range []time.Duration{-1, 0, 5 * time.Millisecond, 5*time.Millisecond + 1, time.Second, time.Hour} {
		h.Observe(d)
	}

	s := h.Inspect()
	require.Equal(t, []uint64{3, 1, 1, 1}, s.Counts)
	require.EqualValues(t, 6, s.Count)
	require.Equal(t, time.Hour+time.Second+10*time.Millisecond+1, s.Sum)
}

func TestAFineBucketHasWhatIsBetweenItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Float64Range(1e-9, 1e5).Draw(t, "seconds")

		i := fineIndex(seconds)
		require.LessOrEqual(t, FirstFine, i)
		require.LessOrEqual(t, i, lastFine)

		if i < lastFine {
			require.LessOrEqual(t, seconds, math.Exp2(float64(i)/perOctave)*(1+1e-12))
		}

		if i > FirstFine {
			require.Greater(t, seconds, math.Exp2(float64(i-1)/perOctave)*(1-1e-12))
		}
	})

	for exponent := -14; exponent <= 12; exponent++ {
		require.Equal(t, exponent*perOctave, fineIndex(math.Exp2(float64(exponent))), "a bound is part of its bucket")
	}
}

func TestQuantilesAreRightToFivePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(int64(100*time.Microsecond), int64(time.Minute)), 1, 100).Draw(t, "all")
		q := rapid.SampledFrom([]float64{0, .5, .95, .99, 1}).Draw(t, "q")

		h := New(ForRequests)
		for _, d := range all {
			h.Observe(time.Duration(d))
		}

		slices.Sort(all)
		want := all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
		require.InEpsilon(t, float64(want), float64(h.Inspect().Quantile(q)), .05)
	})
}

func TestWithoutDurationsEverythingIsZero(t *testing.T) {
	var none *Histogram
	require.Zero(t, none.Inspect().Quantile(.5))
	require.Zero(t, New(ForStarts).Inspect().Quantile(.5))
	require.Zero(t, Snapshot{}.Since(Snapshot{}).Count)
	require.Panics(t, func() { New(make(Buckets, maxBuckets+1)) })
}

func TestSnapshotsAddUpAndTellWhatCameBetweenThem(t *testing.T) {
	h := New(ForRequests)
	h.Observe(time.Second)
	before := h.Inspect()
	h.Observe(time.Minute)
	after := h.Inspect()

	between := after.Since(before)
	require.EqualValues(t, 1, between.Count)
	require.Equal(t, time.Minute, between.Sum)
	require.InEpsilon(t, float64(time.Minute), float64(between.Quantile(.5)), .05)
	require.Equal(t, after, before.Add(between))
	require.Equal(t, after, Snapshot{}.Add(after))
	require.Equal(t, after, after.Since(Snapshot{}))
	require.Zero(t, before.Since(after).Count, "a histogram that began again")
}

func TestConcurrentDurationsAreAllCounted(t *testing.T) {
	h := New(ForRequests)
	var all sync.WaitGroup

	for range 8 {
		all.Go(func() {
			for range 1000 {
				h.Observe(time.Millisecond)
			}
		})
	}

	all.Wait()
	require.EqualValues(t, 8000, h.Inspect().Count)
	require.Equal(t, 8*time.Second, h.Inspect().Sum)
}

func BenchmarkObserve(b *testing.B) {
	h := New(ForRequests)
	d := 7 * time.Millisecond

	for b.Loop() {
		h.Observe(d)
	}
}
