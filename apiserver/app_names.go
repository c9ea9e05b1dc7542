package apiserver

import (
	"slices"
	"sync"

	"github.com/gopassenger/passenger"
)

const (
	// maxApps bounds the applications with figures of their own.
	maxApps = 500
	// others is the name that the rest has together.
	others = "others"
)

// appNames decides which applications have figures of their own. The zero value is ready.
//
// An application keeps its place, own or among the others, until it leaves: counters that moved between the two would
// look as if the others had begun again. For the same reason the others' sum grows by what each member has counted
// since the last look, and keeps what those that left have counted.
type appNames struct {
	mu    sync.Mutex
	named map[string]bool
	// rest are the others as they were at the last look, sum what all of them have ever counted.
	rest map[string]*appFigures
	sum  *appFigures
}

// limit returns those of all, in their order, that have figures of their own, and then the sum of the others, if there
// ever were some.
func (n *appNames) limit(all []*appFigures) []*appFigures {
	n.mu.Lock()
	defer n.mu.Unlock()

	// First, so that those that come may have the places of those that left.
	n.forgetAllBut(all)

	shown := make([]*appFigures, 0, min(len(all), maxApps)+1)
	rest := newAppFigures(others)

	for _, f := range all {
		if n.mayShow(f.name) {
			shown = append(shown, f)
			continue
		}

		if n.sum == nil {
			n.sum, n.rest = newAppFigures(others), map[string]*appFigures{}
		}

		// Before it replaces what it was.
		n.count(f, n.rest[f.name])
		n.rest[f.name] = f
		rest.addGauges(f)
	}

	// Once there were others, their sum stays: a series that ends and comes back looks as if it began again.
	if n.sum == nil {
		return shown
	}

	n.sum.hasRequests = n.sum.hasRequests || rest.hasRequests
	rest.hasRequests = n.sum.hasRequests
	rest.addCounters(n.sum)

	// The next look changes those of the sum.
	for _, h := range rest.histograms() {
		h.Counts, h.Fine = slices.Clone(h.Counts), slices.Clone(h.Fine)
	}

	return append(shown, rest)
}

// count adds to the sum what one of the others has counted since the last look, when it was as before, or nil.
func (n *appNames) count(now, before *appFigures) {
	if before == nil {
		before = &appFigures{}
	}

	sum, old := n.sum.counters(), before.counters()
	for i, value := range now.counters() {
		*sum[i] += increase(*value, *old[i])
	}

	histograms, olds := n.sum.histograms(), before.histograms()
	for i, h := range now.histograms() {
		addIncrease(histograms[i], h, olds[i])
	}
}

// increase is what a counter has counted since it had the value before. One that is lower has begun again.
func increase(now, before uint64) uint64 {
	if now < before {
		return now
	}

	return now - before
}

// addIncrease changes sum in place: there may be hundreds at each look.
func addIncrease(sum, now, before *passenger.Histogram) {
	switch {
	case now.Count == before.Count:
		return
	case now.Count < before.Count:
		before = &passenger.Histogram{}
	}

	if len(sum.Counts) == 0 {
		sum.Bounds, sum.Counts, sum.Fine = now.Bounds, make([]uint64, len(now.Counts)), make([]uint64, len(now.Fine))
	}

	addIncreases(sum.Counts, now.Counts, before.Counts)
	addIncreases(sum.Fine, now.Fine, before.Fine)
	sum.Count += now.Count - before.Count
	sum.Sum += now.Sum - before.Sum
}

func addIncreases(sum, now, before []uint64) {
	for i := range sum {
		if i < len(before) {
			sum[i] += increase(now[i], before[i])
		} else {
			sum[i] += now[i]
		}
	}
}

// forgetAllBut gives up the places of applications that have left.
func (n *appNames) forgetAllBut(all []*appFigures) {
	present := make(map[string]bool, len(all))
	for _, f := range all {
		present[f.name] = true
	}

	for name := range n.named {
		if !present[name] {
			delete(n.named, name)
		}
	}

	for name := range n.rest {
		if !present[name] {
			delete(n.rest, name)
		}
	}
}

// mayShow reports whether an application has figures of its own, and takes a place for it if there is one.
func (n *appNames) mayShow(name string) bool {
	switch {
	case n.named[name]:
		return true
	case n.rest[name] != nil || name == others || len(n.named) >= maxApps:
		return false
	}

	if n.named == nil {
		n.named = map[string]bool{}
	}

	n.named[name] = true

	return true
}
