package handler

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	cacheWindow  = 2 * time.Second
	cacheTimeOff = 10 * time.Second
	// cacheSample is how many lookups, or stores, tell something.
	cacheSample = 20
)

// TurbocacheStats are counted since the Handler was made. Fetches are the
// requests that could have been answered from the cache, Hits those that were.
// Stores are the answers that the application permits to store, StoreSuccesses
// those that were: not too long, not changed meanwhile.
type TurbocacheStats struct {
	Fetches        uint64 `json:"fetches"`
	Hits           uint64 `json:"hits"`
	Stores         uint64 `json:"stores"`
	StoreSuccesses uint64 `json:"storeSuccesses"`
}

// regulator switches a cache off for a while if fewer than half of the lookups
// find something, or fewer than half of the answers that were collected for it
// can be stored.
type regulator struct {
	fetches, hits          atomic.Uint64
	stores, storeSuccesses atomic.Uint64

	off atomic.Bool
	// ends is when the window is over, or the time off.
	ends atomic.Int64

	mu     sync.Mutex
	before TurbocacheStats // the window
}

func (g *regulator) stats() TurbocacheStats {
	return TurbocacheStats{
		Fetches:        g.fetches.Load(),
		Hits:           g.hits.Load(),
		Stores:         g.stores.Load(),
		StoreSuccesses: g.storeSuccesses.Load(),
	}
}

// on never waits: the one that gets the lock turns to the next window.
func (g *regulator) on(now time.Duration) bool {
	if int64(now) >= g.ends.Load() && g.mu.TryLock() {
		g.turn(now)
		g.mu.Unlock()
	}

	return !g.off.Load()
}

// turn may come long after the window has ended, when there were no requests.
func (g *regulator) turn(now time.Duration) {
	ended := time.Duration(g.ends.Load())
	if now < ended {
		return
	}

	total, offUntil := g.stats(), ended+cacheTimeOff
	if !g.off.Load() && total.inVain(g.before) && now < offUntil {
		g.off.Store(true)
		g.ends.Store(int64(offUntil))
		return
	}

	g.before = total
	g.off.Store(false)
	g.ends.Store(int64(now + cacheWindow))
}

func (s TurbocacheStats) inVain(before TurbocacheStats) bool {
	return low(s.Hits-before.Hits, s.Fetches-before.Fetches) ||
		low(s.StoreSuccesses-before.StoreSuccesses, s.Stores-before.Stores)
}

func low(good, all uint64) bool { return all >= cacheSample && 2*good < all }
