package turbocache

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

// Response is the head of an application's response.
type Response struct {
	Status int
	// Header is as the application sent it, by canonical names.
	Header    http.Header
	Spellings []httpfield.Spelling
	// Length is that of the body; -1 means unknown.
	Length  int64
	Chunked bool
}

// Permits decides whether a response may be stored, if its body turns out to be short enough. copyHeader adds the
// fields that are for clients to another header.
func (c *Cache) Permits(t *Ticket, r *Response, copyHeader func(to http.Header)) bool {
	// A body that ends with the connection may be half of one.
	if t.use != mayStore || r.Length > maxBody || r.Length < 0 && !r.Chunked {
		return false
	}

	now := time.Now()
	ttl, age, ok := freshness(r.Status, r.Header, now)
	if !ok {
		return false
	}

	header := make(http.Header, len(r.Header)+1)
	copyHeader(header)
	if !complete(header, now) {
		return false
	}

	c.regulator.stores.Add(1)
	since := c.now()

	t.entry = &entry{
		hash:      t.key.hash,
		key:       string(t.key.bytes()),
		base:      t.key.base,
		seen:      t.seen.clone(),
		status:    r.Status,
		header:    header.Clone(),
		spellings: cloneSpellings(r.Spellings),
		since:     since,
		until:     since + ttl,
		age:       age,
	}

	return true
}

// Store stores the response that Permits allowed, with a copy of its complete body.
func (c *Cache) Store(t *Ticket, body []byte) {
	e := t.entry
	t.entry = nil
	if e == nil || len(body) > maxBody {
		return
	}

	e.body = bytes.Clone(body)
	if c.put(e, t.generation) {
		c.regulator.storeSuccesses.Add(1)
	}
}

// complete gives a header for clients the date, and removes the age, which grows. It reports whether the header is
// short enough to be kept.
func complete(h http.Header, now time.Time) bool {
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

	return size <= maxHead
}

// cloneSpellings keeps nothing of the response's head but the names.
func cloneSpellings(all []httpfield.Spelling) []httpfield.Spelling {
	clones := slices.Clone(all)
	for i := range clones {
		clones[i].Written = strings.Clone(clones[i].Written)
		clones[i].Canonical = strings.Clone(clones[i].Canonical)
	}

	return clones
}

// put refuses a response that may be from before an invalidation.
func (c *Cache) put(e *entry, generation uint64) bool {
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

// slotFor returns the slot of the same key and fields, or else the first free one, or else the one that was filled
// first.
func (c *Cache) slotFor(e *entry, now time.Duration) int {
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

// Invalidate drops what a request that is not safe may have changed, also according to the header h of its response. It
// has to come before the client gets the response.
func (c *Cache) Invalidate(t *Ticket, h http.Header) {
	if t.use != invalidates {
		return
	}

	c.drop(&t.key)

	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, v := range h[name] {
			uri, ok := t.ownURI(v)
			var k key
			if ok && k.set(c.seed, t.https, t.host, uri) {
				c.drop(&k)
			}
		}
	}
}

// ownURI returns path and query of a reference to the host of the request.
func (t *Ticket) ownURI(ref string) (uri string, ok bool) {
	ref, _, _ = strings.Cut(ref, "#")
	if i := strings.IndexAny(ref, ":/?"); i > 0 && strings.HasPrefix(ref[i:], "://") {
		ref = ref[i+1:]
	}

	authority, ok := strings.CutPrefix(ref, "//")
	if !ok {
		return t.resolve(ref)
	}

	uri = "/"
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority, uri = authority[:i], authority[i:]
	}

	if uri[0] == '?' {
		uri = "/" + uri
	}

	return uri, httpfield.EqualFold(authority, t.host)
}

// resolve returns path and query of a reference that names no host, relative to those of the request.
func (t *Ticket) resolve(ref string) (uri string, ok bool) {
	if strings.HasPrefix(ref, "/") {
		return ref, true
	}

	// A long target has no key. A colon in the first part of a path ends a scheme.
	_, base, known := strings.Cut(string(t.key.array[:t.key.base]), "\n")
	if i := strings.IndexAny(ref, ":/?"); !known || ref == "" || i >= 0 && ref[i] == ':' {
		return "", false
	}

	base, _, _ = strings.Cut(base, "?")
	if ref[0] == '?' {
		return base + ref, true
	}

	path, query, hasQuery := strings.Cut(ref, "?")
	if path = withoutDots(base[:strings.LastIndexByte(base, '/')+1] + path); hasQuery {
		path += "?" + query
	}

	return path, true
}

// withoutDots removes the segments . and .. as RFC 3986, section 5.2.4, does.
func withoutDots(path string) string {
	segments := strings.Split(path, "/")

	var kept []string
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case ".":
		case "..":
			// The first one is what is before the slash at the beginning.
			kept = kept[:max(len(kept)-1, min(len(kept), 1))]
		default:
			kept = append(kept, segment)
			continue
		}

		if last {
			kept = append(kept, "")
		}
	}

	return strings.Join(kept, "/")
}

// drop removes what is stored under a key, with any cookie, and keeps out what is about to be stored under it.
func (c *Cache) drop(k *key) {
	if k.base == 0 {
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation(k.hash).Add(1)

	for i := range c.slots {
		if e := c.slots[i].Load(); e != nil && k.sameBase(e) {
			c.slots[i].Store(nil)
		}
	}
}
