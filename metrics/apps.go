package metrics

import (
	"slices"
	"sync"

	"github.com/gopassenger/passenger"
)

const (
	// MaxApps bounds the applications with figures of their own.
	MaxApps = 500
	// Others is the name that the rest has together.
	Others = "others"
)

// Apps sums up applications, and decides which of them have figures of their own: the first MaxApps that it sees, until
// they leave the pool. The zero value is ready. It is safe for concurrent use.
//
// An application keeps its place, own or among the others, until it leaves: counters that moved between the two would
// look as if the others had begun again. For the same reason the others' sum grows by what each member has counted
// since the last look, and keeps what those that left have counted.
type Apps struct {
	mu    sync.Mutex
	named map[string]bool
	// rest are the others as they were at the last look, sum what all of them have ever counted.
	rest map[string]*App
	sum  *App
}

// Sum returns the figures of all applications, in the order of their names, and then those of the others together.
// requests are those of each handler. What it returns must not be changed; the next call does not change it.
func (n *Apps) Sum(s *passenger.Snapshot, requests []Requests) []*App {
	return n.limit(sum(s, requests))
}

// limit returns those of all, in their order, that have figures of their own, and then the sum of the others, if there
// ever were some.
func (n *Apps) limit(all []*App) []*App {
	n.mu.Lock()
	defer n.mu.Unlock()

	// First, so that those that come may have the places of those that left.
	n.forgetAllBut(all)

	shown := make([]*App, 0, min(len(all), MaxApps)+1)
	rest := &App{Name: Others}

	for _, f := range all {
		if n.mayShow(f.Name) {
			shown = append(shown, f)
			continue
		}

		if n.sum == nil {
			n.sum, n.rest = &App{Name: Others}, map[string]*App{}
		}

		// Before it replaces what it was.
		n.count(f, n.rest[f.Name])
		n.rest[f.Name] = f
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
func (n *Apps) count(now, before *App) {
	if before == nil {
		before = &App{}
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
func (n *Apps) forgetAllBut(all []*App) {
	present := make(map[string]bool, len(all))
	for _, f := range all {
		present[f.Name] = true
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
func (n *Apps) mayShow(name string) bool {
	switch {
	case n.named[name]:
		return true
	case n.rest[name] != nil || name == Others || len(n.named) >= MaxApps:
		return false
	}

	if n.named == nil {
		n.named = map[string]bool{}
	}

	n.named[name] = true

	return true
}
