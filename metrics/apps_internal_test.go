package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gopassenger/passenger/internal/histogram"
)

// crowd are applications that come, count and leave.
type crowd map[string]*histogram.Histogram

func (c crowd) look(names *Apps) map[string]*App {
	stats := make([]Requests, 0, len(c))
	for name, h := range c {
		stats = append(stats, Requests{AppName: name, Begun: h.Inspect().Count, Durations: h.Inspect()})
	}

	shown := map[string]*App{}
	for _, f := range names.limit(figuresOfStats(stats)) {
		shown[f.Name] = f
	}

	return shown
}

func figuresOfStats(stats []Requests) []*App {
	all := make([]*App, 0, len(stats))
	for i := range stats {
		f := &App{Name: stats[i].AppName}
		f.requests, f.hasRequests = stats[i], true
		all = append(all, f)
	}

	slices.SortFunc(all, func(a, b *App) int { return cmp.Compare(a.Name, b.Name) })

	return all
}

func TestApplicationsBeyondTheFirstAreSummedForAsLongAsTheyStay(t *testing.T) {
	c, names := crowd{}, &Apps{}
	come := func(name string, requests int) {
		c[name] = histogram.New(histogram.ForRequests)
		for range requests {
			c[name].Observe(time.Second)
		}
	}
	count := func(shown map[string]*App, name string) int {
		require.Contains(t, shown, name)
		require.Equal(t, shown[name].requests.Begun, shown[name].requests.Durations.Count)

		return int(shown[name].requests.Begun)
	}

	for i := range MaxApps {
		come(fmt.Sprintf("m%03d", i), 1)
	}

	require.NotContains(t, c.look(names), Others)

	// One whose name comes first takes no other's place.
	come("a", 10)
	come("b", 5)

	shown := c.look(names)
	require.Len(t, shown, MaxApps+1)
	require.Equal(t, 1, count(shown, "m000"))
	require.Equal(t, 15, count(shown, Others))

	// One that leaves takes nothing away, and its place is for one that comes.
	delete(c, "b")
	delete(c, "m000")
	come("c", 7)
	shown = c.look(names)
	require.Equal(t, 7, count(shown, "c"))
	require.Equal(t, 15, count(shown, Others))

	// One that began again counts from there.
	come("a", 2)
	require.Equal(t, 17, count(c.look(names), Others))

	for name := range c {
		delete(c, name)
	}

	shown = c.look(names)
	require.Len(t, shown, 1)
	require.Equal(t, 17, count(shown, Others))
}

func TestAnApplicationWithTheNameOfTheOthersIsOneOfThem(t *testing.T) {
	c, names := crowd{Others: histogram.New(histogram.ForRequests)}, &Apps{}
	c[Others].Observe(time.Second)

	shown := c.look(names)
	require.Len(t, shown, 1)
	require.EqualValues(t, 1, shown[Others].requests.Begun)
}

// Prometheus takes a counter that goes down for one that began again, and counts all of it once more.
func TestNoCounterGoesDownWhileApplicationsComeAndLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, names := crowd{}, &Apps{}
		for i := range MaxApps - 2 {
			c[fmt.Sprintf("m%03d", i)] = nil // it counts nothing
		}

		before := map[string]uint64{}

		name := rapid.SampledFrom([]string{"a", "b", "c", "x", "y", "z", "m001"})
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			for _, name := range rapid.SliceOfN(name, 1, 5).Draw(t, "names") {
				if c[name] == nil {
					c[name] = histogram.New(histogram.ForRequests)
					delete(before, name)
				}

				if rapid.Bool().Draw(t, "leaves") {
					delete(c, name)
				} else {
					c[name].Observe(time.Second)
				}
			}

			shown := c.look(names)
			for name, f := range shown {
				if f.requests.Begun < before[name] {
					t.Fatalf("%s went from %d to %d", name, before[name], f.requests.Begun)
				}

				before[name] = f.requests.Begun
			}

			for name := range before {
				if shown[name] == nil {
					delete(before, name)
				}
			}
		}
	})
}
