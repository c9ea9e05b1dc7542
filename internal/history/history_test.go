package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/histogram"
	"github.com/gopassenger/passenger/status"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// played is an application whose figures a test plays.
type played struct {
	durations *histogram.Histogram
	Sample
}

func play(name string) *played {
	return &played{durations: histogram.New(histogram.ForRequests), Sample: Sample{App: name, Processes: 2}}
}

// serve counts n requests that took d.
func (p *played) serve(n int, d time.Duration) {
	p.Requests += uint64(n)
	for range n {
		p.durations.Observe(d)
	}
}

func (p *played) sample() Sample {
	p.Durations = p.durations.Inspect()
	return p.Sample
}

// after is the time of the nth sample, from 0 on.
func after(n int) time.Time { return start.Add(time.Duration(n) * Interval) }

// figures are those of the application "a".
func figures(t *testing.T, r *Ring) status.Figures {
	t.Helper()
	f, ok := r.App("a", length)
	require.True(t, ok)

	return f
}

func TestAPointSaysWhatCameBetweenTwoSamples(t *testing.T) {
	var r Ring
	a := play("a")
	a.serve(1000, time.Minute)
	r.Record(after(0), []Sample{a.sample()})
	require.Empty(t, figures(t, &r).Points, "the first has nothing to be compared with")

	a.serve(50, 100*time.Millisecond)
	a.serve(1, 10*time.Second)
	a.Errors += 10
	a.Queue, a.Busy, a.Memory, a.CPU = 3, 1, 1<<30, 0.5
	r.Record(after(1), []Sample{a.sample()})

	f := figures(t, &r)
	require.Len(t, f.Points, 1)
	p := f.Points[0]
	require.Equal(t, after(1), p.At)
	require.InEpsilon(t, 51./5, p.Requests, 1e-6)
	require.InEpsilon(t, 2., p.Errors, 1e-6)
	require.InEpsilon(t, .1, p.P50, .05)
	require.InEpsilon(t, 10., p.P99, .05)
	require.Equal(t, []int{3, 1, 2}, []int{p.Queue, p.Busy, p.Processes})
	require.InDelta(t, 1<<30, p.Memory, 0)
	require.InDelta(t, .5, p.CPU, 0)
}

func TestTheHistoryIsAnHourLong(t *testing.T) {
	var r Ring
	a := play("a")

	const rounds = 3 * length / 2
	for n := range rounds {
		a.serve(n%7, time.Millisecond)
		r.Record(after(n), []Sample{a.sample()})
	}

	points := figures(t, &r).Points
	require.Len(t, points, length)

	for i, p := range points {
		n := rounds - length + i
		require.Equal(t, after(n), p.At)
		require.InDelta(t, float64(n%7)/5, p.Requests, 1e-6)
	}

	few, _ := r.App("a", 3)
	require.Equal(t, points[length-3:], few.Points)
	none, _ := r.App("a", -1)
	require.Empty(t, none.Points)
}

func TestTheRecentTimeIsOneToTwoMinutes(t *testing.T) {
	var r Ring
	a := play("a")
	r.Record(after(0), []Sample{a.sample()})
	require.Zero(t, figures(t, &r).Recent)

	for n := 1; n <= 100; n++ {
		a.serve(10, time.Second)
		r.Record(after(n), []Sample{a.sample()})

		recent := figures(t, &r).Recent
		require.InEpsilon(t, 2, recent.Requests, 1e-6)
		require.InEpsilon(t, 1, recent.P95, .05)
		require.LessOrEqual(t, recent.Span, 120.)
		require.GreaterOrEqual(t, recent.Span, min(60, float64(n)*5))
	}

	// What is older than two minutes does not count any more.
	for n := 101; n <= 125; n++ {
		r.Record(after(n), []Sample{a.sample()})
	}

	require.Zero(t, figures(t, &r).Recent.P95)
}

func TestAnApplicationThatLeavesIsForgottenAfterAnHour(t *testing.T) {
	var r Ring
	a, b := play("a"), play("b")
	r.Record(after(0), []Sample{a.sample(), b.sample()})

	for n := 1; n < length; n++ {
		r.Record(after(n), []Sample{b.sample()})
	}

	gone := figures(t, &r)
	require.Len(t, gone.Points, length-1)
	require.Zero(t, gone.Points[0].Processes)
	require.Zero(t, gone.Recent)
	r.Record(after(length), []Sample{b.sample()})

	_, ok := r.App("a", 1)
	require.False(t, ok)
	require.Len(t, r.Figures(1), 1)
}

// A restart of the handler or of the group begins to count from zero.
func TestCountsThatBeginAgainAreNoRequests(t *testing.T) {
	var r Ring
	before, now := play("a"), play("a")
	before.serve(100, time.Second)
	now.serve(2, time.Second)
	r.Record(after(0), []Sample{before.sample()})
	r.Record(after(1), []Sample{now.sample()})

	p := figures(t, &r).Points[0]
	require.Zero(t, p.Requests)
	require.Zero(t, p.P95)
}

func TestTheMemoryIsBounded(t *testing.T) {
	var r Ring
	for n := range 3 {
		samples := make([]Sample, 0, 2*MaxApps+1)
		for i := range 2 * MaxApps {
			samples = append(samples, Sample{App: fmt.Sprintf("app %03d", i), Queue: 1 << 20})
		}

		samples = append(samples, samples[0]) // a namesake
		r.Record(after(n), samples)
	}

	all := r.Figures(length)
	require.Len(t, all, MaxApps)
	require.Equal(t, "app 000", all[0].App)
	require.Len(t, all[0].Points, 2)
	require.Equal(t, 1<<16-1, all[0].Points[0].Queue)
}

func BenchmarkRecord200Apps(b *testing.B) {
	var r Ring

	samples := make([]Sample, 0, MaxApps)
	for i := range MaxApps {
		a := play(fmt.Sprint("app ", i))
		a.serve(100, time.Second)
		samples = append(samples, a.sample())
	}

	n := 0
	for b.Loop() {
		n++
		r.Record(after(n), samples)
	}
}
