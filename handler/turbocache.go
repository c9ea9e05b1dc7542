package handler

import (
	"hash/maphash"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Limits of a turbocache.
const (
	cacheEntries = 8
	// cacheStripes is how many generations the keys share.
	cacheStripes  = 64
	maxCachedHead = 4 << 10
	maxCachedBody = 32 << 10
)

// turbocache keeps the few answers that the application gives again and again,
// for as long as it has said that they may be. A nil one keeps nothing.
//
// turbocache_key.go says which requests get the same answer,
// turbocache_policy.go which answers are kept and for how long,
// turbocache_store.go puts them in and out, turbocache_regulator.go notices
// when all that is in vain.
type turbocache struct {
	// varyCookie is the cookie that an answer may depend on, or empty.
	varyCookie string
	seed       maphash.Seed
	// epoch is what times are durations since, so that it does not matter when
	// the clock is set.
	epoch time.Time

	regulator regulator

	// mu guards changes of what follows. Lookups do without it: entries do not
	// change.
	mu    sync.Mutex
	slots [cacheEntries]atomic.Pointer[cacheEntry]
	// generations count the invalidations, each those of some of the keys.
	generations [cacheStripes]atomic.Uint64
	stored      uint64
}

// cacheEntry is an answer.
type cacheEntry struct {
	hash uint64
	key  string
	base int
	// seen are the headers that the application may have seen.
	seen http.Header

	status int
	header http.Header
	// spellings are those of the application.
	spellings []spelling
	body      []byte

	since, until time.Duration // the epoch
	age          time.Duration // that it had when it came
	order        uint64        // among all that were stored
}

// newTurbocache returns an empty cache. varyCookie may be empty.
func newTurbocache(varyCookie string) *turbocache {
	return &turbocache{varyCookie: varyCookie, seed: maphash.MakeSeed(), epoch: time.Now()}
}

func (c *turbocache) now() time.Duration { return time.Since(c.epoch) }

// generation is the counter that key's invalidations are counted by.
func (c *turbocache) generation(hash uint64) *atomic.Uint64 {
	return &c.generations[hash%cacheStripes]
}

// cacheTicket is what a request and its answer mean to the cache: nothing, in the
// zero value.
type cacheTicket struct {
	use   cacheUse
	https bool
	host  string
	// generation is from before the application saw the request.
	generation uint64
	key        cacheKey
	seen       seenRequest
	// entry is to be stored, when its body is there.
	entry *cacheEntry
}

type cacheUse uint8

const (
	cacheIgnores cacheUse = iota
	cacheMayStore
	cacheInvalidates
)

// lookup finds the answer to a request. If there is none, k is what the other
// methods need to know of the request, so that it has to come before that is
// sent.
func (c *turbocache) lookup(k *cacheTicket, r *http.Request, t *target, scheme string, seen seenRequest) (hit cacheHit,
	ok bool,
) {
	k.use, k.entry = cacheIgnores, nil
	if c == nil {
		return hit, false
	}

	https := httpfield.EqualFold(scheme, "https")
	if !safeMethod(r.Method) {
		k.use, k.https, k.host = cacheInvalidates, https, t.host
		k.key.set(c.seed, https, t.host, t.uri)
		return hit, false
	}

	seen.header = r.Header
	k.seen = seen
	if !k.seen.qualifies(r, t.host, scheme) || !k.key.set(c.seed, https, t.host, t.uri) ||
		!k.key.vary(c.varyCookie, r.Header) {
		return hit, false
	}

	now := c.now()
	if !c.regulator.on(now) {
		return hit, false
	}

	c.regulator.fetches.Add(1)
	if e := c.find(k, now); e != nil {
		c.regulator.hits.Add(1)
		hit = cacheHit{entry: e, age: e.age + now - e.since}
		if r.Method == http.MethodGet {
			hit.body = e.body
		}

		return hit, true
	}

	if r.Method == http.MethodGet {
		k.use, k.generation = cacheMayStore, c.generation(k.key.hash).Load()
	}

	return hit, false
}

// find returns nil if there is no entry, or no longer.
func (c *turbocache) find(k *cacheTicket, now time.Duration) *cacheEntry {
	key := &k.key
	for i := range c.slots {
		e := c.slots[i].Load()
		if e != nil && e.hash == key.hash && e.key == string(key.bytes()) && now < e.until && k.seen.equals(e.seen) {
			return e
		}
	}

	return nil
}

// stats returns what a status page shows.
func (c *turbocache) stats() TurbocacheStats {
	if c == nil {
		return TurbocacheStats{}
	}

	return c.regulator.stats()
}

// cacheHit is an answer for a client.
type cacheHit struct {
	entry *cacheEntry
	age   time.Duration
	body  []byte // nil if the client wants the head only
}

// copyHeader copies the values too: the header is the client's to change, the
// entry is not.
func (h *cacheHit) copyHeader(to http.Header) {
	values := make([]string, 0, len(h.entry.header)+2)
	set := func(name string, v ...string) {
		n := len(values)
		values = append(values, v...)
		to[name] = values[n:len(values):len(values)]
	}
	gather(to, h.entry.header)

	for name, v := range h.entry.header {
		set(name, beside(to, name, v)...)
	}

	set("Age", strconv.FormatInt(int64(h.age/time.Second), 10))
	if h.entry.status != http.StatusNoContent {
		set("Content-Length", strconv.Itoa(len(h.entry.body)))
	}

	if _, typed := to["Content-Type"]; !typed {
		to["Content-Type"] = nil // keeps net/http from guessing
	}
}
