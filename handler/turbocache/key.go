package turbocache

import (
	"hash/maphash"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/httpfield"
	"github.com/gopassenger/passenger/internal/proxyheader"
)

// maxKey bounds keys; requests with longer ones do not use the cache.
const maxKey = 256

// key is what requests with the same response have in common: scheme, host, path and query, and a cookie if the cache
// varies by one. The fields that the application may see are compared beside it (seenFields).
type key struct {
	array [maxKey]byte
	size  int
	// base is the size without the cookie; zero means that there is no key.
	base int
	hash uint64 // of the base
}

func (k *key) bytes() []byte { return k.array[:k.size] }

// set makes the key, without the cookie. ok is false if the key would be too long.
func (k *key) set(seed maphash.Seed, https bool, host, uri string) (ok bool) {
	k.size, k.base = 0, 0

	// A newline in the host could make it look like another host and path.
	if 1+len(host)+1+len(uri) > maxKey || strings.IndexByte(host, '\n') >= 0 {
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

// vary adds the cookie of that name, if the name is not empty. ok is false if the key would be too long, or if it is
// not certain what the cookie is.
func (k *key) vary(name string, h http.Header) (ok bool) {
	if name == "" {
		return true
	}

	value, ok := varyValue(h["Cookie"], name)
	if !ok || k.size+1+len(value) > maxKey {
		return false
	}

	b := append(k.bytes(), '\n')
	k.size = len(append(b, value...))

	return true
}

// sameBase reports whether e was stored under this key, with any cookie.
func (k *key) sameBase(e *entry) bool {
	return e.hash == k.hash && e.key[:e.base] == string(k.array[:k.base])
}

// varyValue returns the raw value of the cookie, empty without one. Parsers of cookies differ, and one client must not
// choose what others get: where a parser could find the cookie elsewhere, or twice, ok is false.
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
				// This is the end of another name.
				continue
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

// maxSeen bounds the header of a request that may use the cache, in bytes: the fields that matter are kept.
const maxSeen = 8 << 10

// forwardedFor and forwardedProto are fields by which proxies tell the client's address and scheme.
const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
)

// irrelevant are fields that may differ between requests with the same response:
//
//   - what is in the key already, host and scheme, and the client's address;
//   - the conditions, which decide only whether there is a body;
//   - what each browser sends of its own: a response for all clients that depends on it says so by Vary, RFC 9111
//     section 4.1, and is not kept.
//
// All other fields that the application may see are compared: one client must not choose what another one gets.
var irrelevant = map[string]bool{
	"Host": true, "Content-Length": true, "Expect": true, forwardedFor: true, forwardedProto: true,
	"If-None-Match": true, "If-Modified-Since": true,

	"Accept": true, "Accept-Charset": true, "Accept-Encoding": true, "Accept-Language": true, "Cookie": true,
	"Dnt": true, "Priority": true, "Referer": true, "Save-Data": true, "Upgrade-Insecure-Requests": true,
	"User-Agent": true,
	"Sec-Ch-Ua":  true, "Sec-Ch-Ua-Mobile": true, "Sec-Ch-Ua-Platform": true, "Sec-Fetch-Dest": true,
	"Sec-Fetch-Mode": true, "Sec-Fetch-Site": true, "Sec-Fetch-User": true, "Sec-Gpc": true, "Sec-Purpose": true,
}

// seenFields are the fields of a request that the application may see.
type seenFields struct {
	filter Filter
	header http.Header
}

// matters reports whether a response may depend on the field of that name.
func (s *seenFields) matters(name string) bool {
	switch {
	case irrelevant[name]:
		return false
	case httpfield.IsPlain(name):
		// Middleware may have set it by a name that is not canonical.
		return s.filter.Reaches(textproto.CanonicalMIMEHeaderKey(name))
	}

	return false
}

// clone returns a copy of the fields that matter.
func (s *seenFields) clone() http.Header {
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

// equals reports whether the application would see the same fields as when an entry was stored.
func (s *seenFields) equals(stored http.Header) bool {
	n := 0
	for name, values := range s.header {
		before := stored[name]

		// A field that mattered once matters for every peer, unless only a proxy may set it.
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

// SafeMethod reports whether a request by this method changes nothing, RFC 9110 section 9.2.1.
func SafeMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}

	return false
}

// qualifies reports whether the response to the request may come from the cache, and go there.
func (r *Request) qualifies() bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.HasBody ||
		r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return false
	}

	size := 0
	for name, values := range r.Header {
		switch name {
		case "Cache-Control", "Pragma", "Authorization", "Range", "Upgrade":
			return false
		case "X-Http-Method", "X-Http-Method-Override", "X-Method-Override":
			// To an application that believes them it is another method, which may change something.
			return false
		case "Connection":
			if !onlyPersistence(values) {
				return false
			}
		case forwardedFor:
			if !r.ClientFirst {
				return false
			}
		}

		for _, v := range values {
			size += len(name) + len(v)
		}
	}

	return size <= maxSeen
}

// onlyPersistence reports whether the field lists nothing that would be removed from the request: the cookie, say,
// which may be part of the key.
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
