package handler

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// permits: an answer, of which p is as the application has sent it, may be
// stored, if its body is not too long.
func (c *turbocache) permits(k *cacheTicket, p *response) bool {
	// A body that ends with the connection may be half of one.
	if k.use != cacheMayStore || p.length > maxCachedBody || p.length < 0 && !p.chunked {
		return false
	}

	now := time.Now()
	ttl, age, ok := freshness(p.status, p.header, now)
	if !ok {
		return false
	}

	header, ok := cachedHeader(p, now)
	if !ok {
		return false
	}

	c.regulator.stores.Add(1)
	since := c.now()
	k.entry = &cacheEntry{
		hash:      k.key.hash,
		key:       string(k.key.bytes()),
		base:      k.key.base,
		seen:      k.seen.clone(),
		status:    p.status,
		header:    header,
		spellings: cloneSpellings(p.spellings),
		since:     since,
		until:     since + ttl,
		age:       age,
	}

	return true
}

// store stores the answer that permits was asked about, with a copy of its
// body, which is complete.
func (c *turbocache) store(k *cacheTicket, body []byte) {
	e := k.entry
	k.entry = nil
	if e == nil || len(body) > maxCachedBody {
		return
	}

	e.body = bytes.Clone(body)
	if c.put(e, k.generation) {
		c.regulator.storeSuccesses.Add(1)
	}
}

// cachedHeader returns a copy of what of the head is for clients. ok is false
// if that is too much.
func cachedHeader(p *response, now time.Time) (h http.Header, ok bool) {
	h = make(http.Header, len(p.header)+1)
	p.copyHeader(h)
	delete(h, "Age")
	if _, dated := h["Date"]; !dated {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}

	size := 0
	for name, values := range h {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}

	if size > maxCachedHead {
		return nil, false
	}

	return h.Clone(), true
}

// put refuses an answer that may be from before an invalidation.
func (c *turbocache) put(e *cacheEntry, generation uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now >= e.until || c.regulator.off.Load() || c.generation(e.hash).Load() != generation {
		return false
	}

	c.stored++
	e.order = c.stored
	c.slots[c.slotFor(e, now)].Store(e)

	return true
}

// slotFor is that of the same key and headers, or else the first free one, or else the one
// that was filled first.
func (c *turbocache) slotFor(e *cacheEntry, now time.Duration) int {
	free, oldest, order := -1, 0, e.order
	for i := range c.slots {
		old := c.slots[i].Load()
		switch {
		case old != nil && old.key == e.key && maps.EqualFunc(old.seen, e.seen, slices.Equal[[]string]):
			return i
		case old == nil || now >= old.until:
			if free < 0 {
				free = i
			}
		case old.order < order:
			oldest, order = i, old.order
		}
	}

	if free >= 0 {
		return free
	}

	return oldest
}

// invalidate drops what an answer, of head h, makes doubtful: all of what it
// says that it has changed, if the request was one that changes things. It has
// to come before the client gets the answer.
func (c *turbocache) invalidate(k *cacheTicket, h http.Header) {
	if k.use != cacheInvalidates {
		return
	}

	c.drop(&k.key)

	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, v := range h[name] {
			uri, ok := k.ownURI(v)
			var key cacheKey
			if ok && key.set(c.seed, k.https, k.host, uri) {
				c.drop(&key)
			}
		}
	}
}

// ownURI returns path and query of a reference to the same host.
func (k *cacheTicket) ownURI(ref string) (uri string, ok bool) {
	ref, _, _ = strings.Cut(ref, "#")
	if i := strings.IndexAny(ref, ":/?"); i > 0 && strings.HasPrefix(ref[i:], "://") {
		ref = ref[i+1:]
	}

	authority, ok := strings.CutPrefix(ref, "//")
	if !ok {
		return ref, strings.HasPrefix(ref, "/")
	}

	uri = "/"
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority, uri = authority[:i], authority[i:]
	}

	if uri[0] == '?' {
		uri = "/" + uri
	}

	return uri, httpfield.EqualFold(authority, k.host)
}

// drop removes what is stored under key, whatever the cookie, and what is about
// to be.
func (c *turbocache) drop(key *cacheKey) {
	if key.base == 0 {
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation(key.hash).Add(1)

	for i := range c.slots {
		if e := c.slots[i].Load(); e != nil && key.sameBase(e) {
			c.slots[i].Store(nil)
		}
	}
}
