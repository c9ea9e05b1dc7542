// Package turbocache keeps the few responses that an application gives again and again, for as long as it
// has said that they may be kept. The original calls this turbocaching.
//
// A request is looked up before the application sees it. If there is no response to it, its [Ticket] takes the
// application's response to the cache: [Cache.Invalidate] drops what the request may have changed, [Cache.Permits]
// decides by the head whether the response may be kept, and [Cache.Store] keeps it once its body is complete.
//
// key.go says which requests get the same response, policy.go which responses are kept and for how long, store.go puts
// them in and out, and regulator.go switches the cache off while it is of no use.
package turbocache

import (
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Limits of a cache.
const (
	maxEntries = 8
	// stripes is the number of generations, which the keys share.
	stripes = 64
	maxHead = 4 << 10
	maxBody = 32 << 10
)

// Cache keeps responses. A nil one keeps nothing. It is safe for concurrent use.
type Cache struct {
	// varyCookie is the cookie that a response may depend on, or empty.
	varyCookie string
	seed       maphash.Seed
	// epoch is the start of all durations here, so that setting the clock does not matter.
	epoch time.Time

	regulator regulator

	// mu guards changes of what follows. Lookups do without it: entries do not
	// change.
	mu    sync.Mutex
	slots [maxEntries]atomic.Pointer[entry]
	// generations count invalidations, each those of some of the keys.
	generations [stripes]atomic.Uint64
	stored      uint64
}

// entry is a response in the cache.
type entry struct {
	hash uint64
	key  string
	base int
	// seen are the headers that the application may have seen.
	seen http.Header

	status    int
	header    http.Header
	spellings []httpfield.Spelling
	body      []byte

	since, until time.Duration // since the epoch
	age          time.Duration // on arrival
	order        uint64        // among all that were stored
}

// New returns an empty cache. If varyCookie is not empty, responses are kept for each value of the cookie of that name.
func New(varyCookie string) *Cache {
	return &Cache{varyCookie: varyCookie, seed: maphash.MakeSeed(), epoch: time.Now()}
}

func (c *Cache) now() time.Duration { return time.Since(c.epoch) }

// generation returns the counter of the invalidations of a key.
func (c *Cache) generation(hash uint64) *atomic.Uint64 {
	return &c.generations[hash%stripes]
}

// Request is what the cache has to know of a request.
type Request struct {
	Method, Scheme, Host string
	// URI is path and query as the application gets them.
	URI    string
	Header http.Header
	// HasBody reports whether the request has a body, perhaps of unknown length.
	HasBody bool
	// ClientFirst reports whether X-Forwarded-For has no address before the client's, which the client could have made
	// up.
	ClientFirst bool
	Filter      Filter
}

// Filter says what of a request's header the application may see.
type Filter interface {
	// Reaches reports whether the field of that canonical name goes to the application.
	Reaches(name string) bool
}

// Ticket is what a request and its response mean to the cache. The zero value means nothing to it.
type Ticket struct {
	use   use
	https bool
	host  string
	// generation is from before the application saw the request.
	generation uint64
	key        key
	seen       seenFields
	// entry is to be stored once its body is complete.
	entry *entry
}

type use uint8

const (
	ignores use = iota
	mayStore
	invalidates
)

// Hit is a response in the cache. Its header, spellings and body are shared: they must not be changed.
type Hit struct {
	Status    int
	Header    http.Header
	Spellings []httpfield.Spelling
	Age       time.Duration
	// Length is that of the whole body.
	Length int
	// Body is nil if the client wants the head only.
	Body []byte
}

// Lookup finds the response to a request. Without one, t takes the application's response to the other methods, so
// that Lookup has to come before the request is sent.
func (c *Cache) Lookup(t *Ticket, r *Request) (hit Hit, ok bool) {
	t.use, t.entry = ignores, nil
	if c == nil {
		return hit, false
	}

	https := httpfield.EqualFold(r.Scheme, "https")
	if !SafeMethod(r.Method) {
		t.use, t.https, t.host = invalidates, https, r.Host
		t.key.set(c.seed, https, r.Host, r.URI)
		return hit, false
	}

	t.seen = seenFields{filter: r.Filter, header: r.Header}
	if !r.qualifies() || !t.key.set(c.seed, https, r.Host, r.URI) || !t.key.vary(c.varyCookie, r.Header) {
		return hit, false
	}

	now := c.now()
	if !c.regulator.on(now) {
		return hit, false
	}

	c.regulator.fetches.Add(1)
	if e := c.find(t, now); e != nil {
		c.regulator.hits.Add(1)

		hit = Hit{
			Status:    e.status,
			Header:    e.header,
			Spellings: e.spellings,
			Age:       e.age + now - e.since,
			Length:    len(e.body),
		}
		if r.Method == http.MethodGet {
			hit.Body = e.body
		}

		return hit, true
	}

	if r.Method == http.MethodGet {
		t.use, t.generation = mayStore, c.generation(t.key.hash).Load()
	}

	return hit, false
}

// find returns nil if there is no entry, or it has expired.
func (c *Cache) find(t *Ticket, now time.Duration) *entry {
	k := &t.key
	for i := range c.slots {
		e := c.slots[i].Load()
		if e != nil && e.hash == k.hash && e.key == string(k.bytes()) && now < e.until && t.seen.equals(e.seen) {
			return e
		}
	}

	return nil
}

// Stats returns the counters of the cache.
func (c *Cache) Stats() Stats {
	if c == nil {
		return Stats{}
	}

	return c.regulator.stats()
}
