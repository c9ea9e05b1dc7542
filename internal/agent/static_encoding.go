package agent

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// encodings are those of files beside a file that have it in them, the best first.
var encodings = [...]struct{ name, extension string }{{"br", ".br"}, {"zstd", ".zst"}, {gzipName, ".gz"}}

const (
	gzipName = "gzip"
	// maxCodings is how many members of Accept-Encoding are looked at: there are about ten codings.
	maxCodings = 32
)

// readSeeker is what http.ServeContent reads.
type readSeeker = io.ReadSeeker

// serveEncoded serves what stands beside a file and was made of it, or returns
// false.
func (f *staticFile) serveEncoded(w http.ResponseWriter, r *http.Request) bool {
	if f.codings(r) == ([len(encodings)]bool{}) {
		// A cache must know that other clients may get one. A look whether they do would cost more than the field.
		vary(w)
		return false
	}

	for _, encoding := range encodings {
		if name := f.name + encoding.extension; f.dir.has(name) && f.serveBeside(w, r, name, encoding.name) {
			return true
		}
	}

	return false
}

// serveBeside serves a file in a coding, or returns false.
func (f *staticFile) serveBeside(w http.ResponseWriter, r *http.Request, name, coding string) bool {
	beside, err := f.dir.open(name)
	if err != nil {
		// The file itself is served.
		return false
	}
	defer beside.Close()

	encoded, err := beside.Stat()
	if err != nil {
		return false
	}

	if encoded.ModTime().Before(f.info.ModTime()) {
		// It was made of an older version.
		return false
	}

	// Also for clients that do not take this coding: a cache must know that others do.
	vary(w)
	if !f.accepts(r, coding) {
		return false
	}

	f.describe(w, beside, encoded, coding, true)
	if r.Header.Get("Range") == "" && !hasConditions(r) {
		// Package net/http leaves it out of what has a coding, and the kernel could not copy the file.
		w.Header().Set("Content-Length", strconv.FormatInt(encoded.Size(), 10))
	}

	f.serveContent(w, r, encoded.Size(), beside)

	return true
}

// serveCompressed serves a text in a smaller form, or returns false. What the head of the request can ask for is
// checked first, so that only a GET that needs the bytes costs a compression, and only if no result is kept.
func (f *staticFile) serveCompressed(w http.ResponseWriter, r *http.Request, c *compressor) bool {
	if !compressible(f.name) || !c.takes(f.info.Size()) {
		return false
	}

	vary(w)
	if !f.accepts(r, gzipName) {
		return false
	}

	// A part of a result is of no use once it is dropped from the cache. A part of the file itself is, unless a date
	// says which version the client has the rest of: it does not say in which coding.
	h := w.Header()
	if condition := r.Header.Get("If-Range"); r.Header.Get("Range") != "" {
		if condition == "" || strings.HasPrefix(condition, `"`) {
			return false
		}

		r = withoutRange(r)
	}

	f.describe(w, f.file, f.info, gzipName, false)
	if f.respondToConditions(w, r) {
		return true
	}

	body := c.find(f.info)
	if body == nil && r.Method == http.MethodHead {
		// The length is not known, and RFC 9110, section 9.3.2, lets us leave it out, as package net/http does here.
		http.ServeContent(w, withoutConditions(r), f.name, f.info.ModTime(), strings.NewReader(""))
		return true
	}

	if body == nil {
		var err error
		if body, err = c.compress(r.Context(), f.file, f.info); err != nil {
			// The response has not begun, so that the file itself can still be sent.
			h.Del("Content-Encoding")
			return r.Context().Err() != nil // the client has left
		}
	}

	h.Set("Content-Length", strconv.Itoa(len(body)))
	http.ServeContent(w, withoutConditions(r), f.name, f.info.ModTime(), bytes.NewReader(body))

	return true
}

// respondToConditions responds to a request whose conditions do not hold, or returns false.
func (f *staticFile) respondToConditions(w http.ResponseWriter, r *http.Request) bool {
	if !hasConditions(r) {
		return false
	}

	// Package net/http evaluates them before it looks at the contents.
	probe := &conditionProbe{header: w.Header()}
	http.ServeContent(probe, f.exact(r), f.name, f.info.ModTime(), strings.NewReader(""))
	if probe.status == http.StatusOK {
		return false
	}

	w.WriteHeader(probe.status)

	return true
}

// conditionProbe is a response that only gets a status and a header.
type conditionProbe struct {
	header http.Header
	status int
}

func (p *conditionProbe) Header() http.Header       { return p.header }
func (p *conditionProbe) WriteHeader(status int)    { p.status = status }
func (*conditionProbe) Write(b []byte) (int, error) { return len(b), nil }

// conditions are the fields that make a request conditional, without If-Range, which belongs to a range.
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

func hasConditions(r *http.Request) bool {
	for _, name := range conditions {
		if len(r.Header[name]) > 0 {
			return true
		}
	}

	return false
}

// withoutConditions returns r without conditions, which were found to hold, and ranges.
func withoutConditions(r *http.Request) *http.Request {
	return without(r, append(slices.Clip(conditions), "Range")...)
}

func withoutRange(r *http.Request) *http.Request { return without(r, "Range") }

// without returns r, or a copy without these fields.
func without(r *http.Request, names ...string) *http.Request {
	copied := r
	for _, name := range names {
		if len(r.Header[name]) == 0 {
			continue
		}

		if copied == r {
			// Who called this handler still has the request as it came.
			shallow := *r
			shallow.Header = r.Header.Clone()
			copied = &shallow
		}

		delete(copied.Header, name)
	}

	return copied
}

// vary tells caches that other clients get another coding. The header may be there
// already.
func vary(w http.ResponseWriter) { w.Header().Set("Vary", "Accept-Encoding") }

// accepts reports whether the client has named the coding, without refusing it (RFC 9110,
// section 12.5.3).
func (f *staticFile) accepts(r *http.Request, coding string) bool {
	accepted := f.codings(r)
	for i := range encodings {
		if encodings[i].name == coding {
			return accepted[i]
		}
	}

	return false
}

// codings says which of encodings the client takes.
func (f *staticFile) codings(r *http.Request) (accepted [len(encodings)]bool) {
	if !f.asked {
		f.asked, f.accepted = true, acceptedCodings(r)
	}

	return f.accepted
}

// acceptedCodings says which of encodings the client takes. The first word about each counts, and members after the
// first maxCodings do not.
func acceptedCodings(r *http.Request) (accepted [len(encodings)]bool) {
	var named [len(accepted)]bool

	left := maxCodings
	for _, header := range r.Header["Accept-Encoding"] {
		for item := range strings.SplitSeq(header, ",") {
			if left--; left < 0 {
				// A client may send any number of them, each of which costs a comparison with each coding.
				return accepted
			}

			name, weight, _ := strings.Cut(item, ";")

			name = strings.TrimSpace(name)
			for i := range encodings {
				if !named[i] && strings.EqualFold(name, encodings[i].name) {
					named[i], accepted[i] = true, !isZero(weight)
				}
			}
		}
	}

	return accepted
}

func isZero(weight string) bool {
	value, isWeight := strings.CutPrefix(strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(weight)), "q=")
	return isWeight && value != "" && strings.Trim(value, "0.") == ""
}
