package handler

import (
	"hash/maphash"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// maxCacheKey bounds keys; requests with longer ones do not use the cache.
const maxCacheKey = 256

// cacheKey is what requests with the same answer have in common: scheme, host,
// path and query, and a cookie if the cache has one; beside it, they have the same
// headers (seenRequest).
type cacheKey struct {
	array [maxCacheKey]byte
	size  int
	// base is how much of it is without the cookie; 0: there is no key.
	base int
	hash uint64 // of the base
}

func (k *cacheKey) bytes() []byte { return k.array[:k.size] }

// set makes the key, without the cookie. ok is false if it would be too long.
func (k *cacheKey) set(seed maphash.Seed, https bool, host, uri string) (ok bool) {
	k.size, k.base = 0, 0

	// A newline in the host could make it look like another host and path.
	if 1+len(host)+1+len(uri) > maxCacheKey || strings.IndexByte(host, '\n') >= 0 {
		return false
	}

	b := append(k.array[:0], 'H')
	if https {
		b[0] = 'S'
	}

	for i := range len(host) {
		b = append(b, httpfield.Lower(host[i]))
	}

	b = append(b, '\n')
	b = append(b, uri...)
	k.size, k.base = len(b), len(b)
	k.hash = maphash.Bytes(seed, b)

	return true
}

// vary adds the cookie of that name, if the name is not empty. ok is false if
// the key would be too long, or it is not certain what the cookie is.
func (k *cacheKey) vary(name string, h http.Header) (ok bool) {
	if name == "" {
		return true
	}

	value, ok := varyValue(h["Cookie"], name)
	if !ok || k.size+1+len(value) > maxCacheKey {
		return false
	}

	b := append(k.bytes(), '\n')
	k.size = len(append(b, value...))

	return true
}

// sameBase: e was stored under this key, with whatever cookie.
func (k *cacheKey) sameBase(e *cacheEntry) bool {
	return e.hash == k.hash && e.key[:e.base] == string(k.array[:k.base])
}

// varyValue returns the raw value of the cookie, empty without one. Parsers of
// cookies differ, and one client must not choose what others get: where some
// could find the cookie elsewhere, or twice, ok is false.
func varyValue(lines []string, name string) (value string, ok bool) {
	found := false
	for _, line := range lines {
		for at := 0; ; {
			i := strings.Index(line[at:], name)
			if i < 0 {
				break
			}

			start, end := at+i, at+i+len(name)
			at = end
			if start > 0 && httpfield.IsToken(line[start-1:start]) {
				continue // the end of another name
			}

			if rest := strings.TrimLeft(line[end:], " \t"); rest == "" || rest[0] != '=' {
				continue
			}

			pair := line[strings.LastIndexByte(line[:start], ';')+1 : start]
			if found || line[end] != '=' || strings.Trim(pair, " \t") != "" {
				return "", false
			}

			found = true
			value, _, _ = strings.Cut(line[end+1:], ";")
		}
	}

	return value, true
}

// maxSeen bounds the headers of a request that may use the cache: it keeps those that
// matter.
const maxSeen = 8 << 10

// irrelevant are headers that may differ between requests with the same response: those
// that are in the key already, the host, the scheme, who the client is and which request
// this is (each has one, by us); the conditions, on which only depends whether there is a
// body; and what each browser sends of its own, of which a response that everybody may
// keep says by Vary that it depends on it, RFC 9111 section 4.1, and is not kept. All
// others that the application may see are part of what is compared: one client must not
// choose what another one gets.
var irrelevant = map[string]bool{
	"Host": true, "Content-Length": true, "Expect": true, forwardedFor: true, forwardedProto: true,
	"If-None-Match": true, "If-Modified-Since": true,

	"Accept": true, "Accept-Charset": true, "Accept-Encoding": true, "Accept-Language": true, "Cookie": true,
	"Dnt": true, "Priority": true, "Referer": true, "Save-Data": true, "Upgrade-Insecure-Requests": true,
	"User-Agent": true,
	"Sec-Ch-Ua":  true, "Sec-Ch-Ua-Mobile": true, "Sec-Ch-Ua-Platform": true, "Sec-Fetch-Dest": true,
	"Sec-Fetch-Mode": true, "Sec-Fetch-Site": true, "Sec-Fetch-User": true, "Sec-Gpc": true, "Sec-Purpose": true,
}

// seenRequest is what the application may see of a request's header.
type seenRequest struct {
	trust
	header http.Header
	// knowsClient: X-Forwarded-For has nobody before the client, who could have made it up.
	knowsClient bool
}

// matters reports whether a response may depend on the header of that name.
func (s *seenRequest) matters(name string) bool {
	switch {
	case irrelevant[name]:
		return false
	case plainName(name):
		// Middleware may have set it by a name that is not canonical.
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		return !hopByHop[canonical] && !notCopied[canonical] && s.passes(canonical)
	}

	return false
}

// clone returns a copy of the headers that matter.
func (s *seenRequest) clone() http.Header {
	seen := http.Header{}
	for name, values := range s.header {
		if len(values) == 0 || !s.matters(name) {
			continue
		}

		for _, v := range values {
			seen[strings.Clone(name)] = append(seen[name], strings.Clone(v))
		}
	}

	return seen
}

// equals reports whether the application would see the same as when an entry was stored.
func (s *seenRequest) equals(stored http.Header) bool {
	n := 0
	for name, values := range s.header {
		before := stored[name]

		// What mattered once does for every peer, unless it is a proxy's to say.
		if before != nil && proxyheader.Of(name) == proxyheader.Anybody {
			if !slices.Equal(values, before) {
				return false
			}

			n++

			continue
		}

		if len(values) == 0 || !s.matters(name) {
			continue
		}

		if !slices.Equal(values, before) {
			return false
		}

		n++
	}

	return n == len(stored)
}

func safeMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}

	return false
}

// qualifies: the answer to the request may come from the cache, and go there.
func (s *seenRequest) qualifies(r *http.Request, host, scheme string) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 ||
		host == "" || scheme != "http" && scheme != "https" {
		return false
	}

	size := 0
	for name, values := range r.Header {
		switch name {
		case "Cache-Control", "Pragma", "Authorization", "Range", "Upgrade":
			return false
		case "X-Http-Method", "X-Http-Method-Override", "X-Method-Override":
			// For an application that believes them it is another method, which may change
			// something.
			return false
		case "Connection":
			if !onlyPersistence(values) {
				return false
			}
		case forwardedFor:
			if !s.knowsClient {
				return false
			}
		}

		for _, v := range values {
			size += len(name) + len(v)
		}
	}

	return size <= maxSeen
}

// onlyPersistence: nothing is listed that would be taken out of the request,
// of which the cookie may be part of the key.
func onlyPersistence(connection []string) bool {
	for _, v := range connection {
		for t := range strings.SplitSeq(v, ",") {
			t = strings.Trim(t, " \t")
			if t != "" && !httpfield.EqualFold(t, "keep-alive") && !httpfield.EqualFold(t, "close") {
				return false
			}
		}
	}

	return true
}
