package handler

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/handler/turbocache"
)

// TurbocacheStats are the counters of a Handler's turbocache.
type TurbocacheStats = turbocache.Stats

// serveCached serves the request from the turbocache, if the response is there.
func (x *exchange) serveCached() (served bool, err error) {
	if (len(x.env) > 0 || !onlyTraces(x.appHeader)) && turbocache.SafeMethod(x.r.Method) {
		return false, nil // the response may depend on it
	}

	hit, ok := x.h.cache.Lookup(&x.ticket, &turbocache.Request{
		Method:      x.r.Method,
		Scheme:      scheme(x.r, x.peer.trusted),
		Host:        x.target.host,
		URI:         x.target.uri,
		Header:      x.r.Header,
		HasBody:     x.r.ContentLength != 0,
		ClientFirst: x.knowsClient,
		Filter:      x,
	})
	if !ok {
		return false, nil
	}

	x.event.Cached = true
	out := x.w.Header()
	copyHit(out, &hit)
	x.spelled = hit.Spellings
	x.h.sign(out, hit.Status)
	x.answer(hit.Status)
	if len(hit.Body) == 0 {
		return true, nil
	}

	return true, x.give(hit.Body)
}

// Reaches is that of [turbocache.Filter].
func (x *exchange) Reaches(name string) bool {
	return !hopByHop[name] && !notCopied[name] && x.trust().passes(name)
}

// mayCache reports whether the response may be stored once its body is complete.
func (x *exchange) mayCache() bool {
	head := x.resp.forCache()
	return x.h.cache.Permits(&x.ticket, &head, x.resp.copyHeader)
}

// forCache returns what the turbocache has to know of a response.
func (p *response) forCache() turbocache.Response {
	return turbocache.Response{
		Status:    p.status,
		Header:    p.header,
		Spellings: p.spellings,
		Length:    p.length,
		Chunked:   p.chunked,
	}
}

// invalidateCache drops what the request may have changed.
func (x *exchange) invalidateCache() { x.h.cache.Invalidate(&x.ticket, x.resp.header) }

// copyHit copies the values too: the header is the client's to change, the hit is not.
func copyHit(to http.Header, hit *turbocache.Hit) {
	values := make([]string, 0, len(hit.Header)+2)
	set := func(name string, v ...string) {
		n := len(values)
		values = append(values, v...)
		to[name] = values[n:len(values):len(values)]
	}
	gather(to, hit.Header)

	for name, v := range hit.Header {
		set(name, beside(to, name, v)...)
	}

	set("Age", strconv.FormatInt(int64(hit.Age/time.Second), 10))
	if hit.Status != http.StatusNoContent {
		set("Content-Length", strconv.Itoa(hit.Length))
	}

	if _, typed := to["Content-Type"]; !typed {
		to["Content-Type"] = nil // keeps net/http from guessing
	}
}
