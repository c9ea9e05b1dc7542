package handler

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/handler/turbocache"
	"github.com/gopassenger/passenger/internal/validators"
)

// TurbocacheStats are the counters of a Handler's turbocache.
type TurbocacheStats = turbocache.Stats

// serveCached serves the request from the turbocache, if the response is there.
func (x *exchange) serveCached() (served bool, err error) {
	if (len(x.req.env) > 0 || !onlyTraces(x.req.appHeader)) && turbocache.SafeMethod(x.req.method()) {
		// The response may depend on what the observer or middleware has added.
		return false, nil
	}

	hit, ok := x.h.cache.Lookup(&x.ticket, &turbocache.Request{
		Method:      x.req.method(),
		Scheme:      x.req.scheme(),
		Host:        x.req.target.host,
		URI:         x.req.target.uri,
		Header:      x.req.header(),
		HasBody:     x.req.http.ContentLength != 0,
		ClientFirst: x.req.clientFirst,
		Filter:      &x.req,
	})
	if !ok {
		return false, nil
	}

	x.event.Cached = true
	if hit.Status == http.StatusOK && validators.NotModified(x.req.header(), hit.Header) {
		hit.Status, hit.Body = http.StatusNotModified, nil
	}

	out := x.client.header()
	copyHit(out, &hit)
	x.h.addOwnFields(out, hit.Status)
	x.client.spellings = hit.Spellings
	x.client.writeHead(hit.Status)

	return true, x.copyWhole(hit.Body)
}

// Reaches is that of [turbocache.Filter].
func (r *request) Reaches(name string) bool {
	return !hopByHop[name] && !notCopied[name] && r.trust().passes(name)
}

// mayCache reports whether the response may be stored once its body is complete.
func (x *exchange) mayCache() bool {
	r := &x.upstream.response
	head := r.forCache()

	return x.h.cache.Permits(&x.ticket, &head, r.copyHeader)
}

// forCache returns what the turbocache has to know of a response.
func (r *response) forCache() turbocache.Response {
	return turbocache.Response{
		Status:    r.status,
		Header:    r.header,
		Spellings: r.spellings,
		Length:    r.length,
		Chunked:   r.chunked,
	}
}

// invalidateCache drops what the request may have changed.
func (x *exchange) invalidateCache() { x.h.cache.Invalidate(&x.ticket, x.upstream.response.header) }

// copyHit copies the values too: the header is the client's to change, the hit is not.
func copyHit(to http.Header, hit *turbocache.Hit) {
	values := make([]string, 0, len(hit.Header)+2)
	set := func(name string, v ...string) {
		n := len(values)
		values = append(values, v...)
		to[name] = values[n:len(values):len(values)]
	}
	unifyNames(to, hit.Header)

	for name, v := range hit.Header {
		set(name, addValues(to, name, v)...)
	}

	set("Age", strconv.FormatInt(int64(hit.Age/time.Second), 10))

	switch hit.Status {
	case http.StatusNoContent:
	case http.StatusNotModified:
		// The client has them, RFC 9110 section 15.4.5.
		for _, name := range [...]string{"Content-Type", "Content-Encoding", "Content-Language"} {
			delete(to, name)
		}
	default:
		set("Content-Length", strconv.Itoa(hit.Length))
	}

	if _, typed := to["Content-Type"]; !typed {
		// This keeps net/http from guessing.
		to["Content-Type"] = nil
	}
}
