package turbocache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	window  = 2 * time.Second
	timeOff = 10 * time.Second
	// minSample is the number of lookups, or stores, from which a window is judged.
	minSample = 20
)

// Stats are counted since the cache was made. Fetches are the requests that could have been served from the cache, Hits
// those that were. Stores are the responses that the application permits to store, StoreSuccesses those that were
// stored: not too long, not changed meanwhile.
type Stats struct {
	Fetches        uint64 `json:"fetches"`
	Hits           uint64 `json:"hits"`
	Stores         uint64 `json:"stores"`
	StoreSuccesses uint64 `json:"storeSuccesses"`
}

// regulator switches a cache off for a while if fewer than half of the lookups find something, or fewer than half of
// the responses that were collected for it can be stored.
type regulator struct {
	fetches, hits          atomic.Uint64
	stores, storeSuccesses atomic.Uint64

	off atomic.Bool
	// ends is the end of the window, or of the time off.
	ends atomic.Int64

	mu     sync.Mutex
	before Stats // at the start of the window
}

func (g *regulator) stats() Stats {
	return Stats{
		Fetches:        g.fetches.Load(),
		Hits:           g.hits.Load(),
		Stores:         g.stores.Load(),
		StoreSuccesses: g.storeSuccesses.Load(),
	}
}

// on reports whether the cache is on. It never waits: the caller that gets the lock turns to the next window.
func (g *regulator) on(now time.Duration) bool {
	if int64(now) >= g.ends.Load() && g.mu.TryLock() {
		g.turn(now)
		g.mu.Unlock()
	}

	return !g.off.Load()
}

// turn begins the next window. It may come long after the last one has ended, if there were no requests.
func (g *regulator) turn(now time.Duration) {
	ended := time.Duration(g.ends.Load())
	if now < ended {
		return
	}

	total, offUntil := g.stats(), ended+timeOff
	if !g.off.Load() && total.inVain(g.before) && now < offUntil {
		g.off.Store(true)
		g.ends.Store(int64(offUntil))
		return
	}

	g.before = total
	g.off.Store(false)
	g.ends.Store(int64(now + window))
}

// inVain reports whether the cache was of no use since before.
func (s Stats) inVain(before Stats) bool {
	return low(s.Hits-before.Hits, s.Fetches-before.Fetches) ||
		low(s.StoreSuccesses-before.StoreSuccesses, s.Stores-before.Stores)
}

func low(good, all uint64) bool { return all >= minSample && 2*good < all }
