package handler

// serveCached answers from the turbocache, if it has the answer.
func (x *exchange) serveCached() (served bool, err error) {
	if (len(x.env) > 0 || !onlyTraces(x.appHeader)) && safeMethod(x.r.Method) {
		return false, nil // the answer may depend on it
	}

	seen := seenRequest{trust: x.trust(), knowsClient: x.knowsClient}
	hit, ok := x.h.cache.lookup(&x.ticket, x.r, &x.target, scheme(x.r, x.peer.trusted), seen)
	if !ok {
		return false, nil
	}

	x.event.Cached = true
	out := x.w.Header()
	hit.copyHeader(out)
	x.spelled = hit.entry.spellings
	x.h.sign(out, hit.entry.status)
	x.answer(hit.entry.status)
	if len(hit.body) == 0 {
		return true, nil
	}

	return true, x.give(hit.body)
}

// invalidateCache drops what the request may have changed.
func (x *exchange) invalidateCache() { x.h.cache.invalidate(&x.ticket, x.resp.header) }
