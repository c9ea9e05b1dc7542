// Package validators makes the fields by which clients and caches find out whether a file has changed (RFC 9110,
// section 8.8), in a way that notices older files that take the place of newer ones.
package validators

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Weak marks a tag of a representation that is made again for each request, and whose bytes may differ then.
func Weak(tag string) string { return "W/" + tag }

// Exact returns r without If-Modified-Since, if that is not exactly the time at which the file was modified.
// [http.ServeContent] takes each later time for "not modified", and so would hide a roll-back to an older file. nginx
// compares in the same way (if_modified_since exact).
func Exact(r *http.Request, modified time.Time) *http.Request {
	since := r.Header.Get("If-Modified-Since")
	if since == "" {
		return r
	}

	// The field has whole seconds (RFC 9110, section 5.6.7).
	if t, err := http.ParseTime(since); err == nil && t.Unix() == modified.Unix() {
		return r
	}

	exact := *r
	exact.Header = r.Header.Clone()
	exact.Header.Del("If-Modified-Since")

	return &exact
}

const (
	// maxRanges is how many ranges of a file a request may ask for.
	maxRanges = 16
	// partOverhead is what stands around each part of multipart/byteranges, about: a boundary of 60 characters and two
	// header fields.
	partOverhead = 200
	// maxDigits is how many digits an int64 has, whatever they are.
	maxDigits = 18
)

// BoundRanges returns r with a Range that costs no more to serve than the whole of size bytes (RFC 9110, section
// 14.2). More than 16 ranges become one that is not satisfiable, so that the response is 416. Ranges that take more
// bytes than the whole, with what stands around them, are left out, so that the whole is sent. So is a Range in another
// unit than bytes, which a server must ignore, each Range of an empty file, and the last 0 bytes among other ranges:
// [http.ServeContent] would refuse the first, and send the others with a Content-Range that ends before its beginning.
// A number too great for it, as clients write for "to the end", becomes one that is not.
func BoundRanges(r *http.Request, size int64) *http.Request {
	asked := r.Header.Get("Range")
	if asked == "" {
		return r
	}

	list, ok := strings.CutPrefix(asked, "bytes=")
	if !ok || size == 0 {
		return withRange(r, "")
	}

	none := "bytes=" + strconv.FormatInt(size, 10) + "-"
	// Before the list is split, since it may be as long as a head.
	if strings.Count(list, ",") >= maxRanges {
		return withRange(r, none)
	}

	ranges := strings.Split(list, ",")
	for i, spec := range ranges {
		ranges[i] = boundNumbers(spec)
	}

	wanted := slices.DeleteFunc(ranges, isNoBytes)

	switch {
	case len(wanted) == 0:
		return withRange(r, none)
	// One range is never more than the whole.
	case len(wanted) > 1 && rangeBytes(wanted, size) > size:
		return withRange(r, "")
	}

	if bound := "bytes=" + strings.Join(wanted, ","); bound != asked {
		return withRange(r, bound)
	}

	return r
}

// boundNumbers returns a range with numbers that an int64 has.
func boundNumbers(spec string) string {
	if len(spec) <= maxDigits {
		return spec
	}

	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return spec
	}

	return boundNumber(first) + "-" + boundNumber(last)
}

func boundNumber(s string) string {
	digits := strings.TrimLeft(strings.TrimSpace(s), "0")
	if len(digits) <= maxDigits || strings.Trim(digits, "0123456789") != "" {
		return s
	}

	return strings.Repeat("9", maxDigits)
}

// withRange returns r with another Range; empty means none.
func withRange(r *http.Request, value string) *http.Request {
	bound := *r
	bound.Header = r.Header.Clone()
	bound.Header.Del("Range")
	if value != "" {
		bound.Header.Set("Range", value)
	}

	return &bound
}

// isNoBytes reports whether a range is that of the last 0 bytes, which is not satisfiable.
func isNoBytes(spec string) bool {
	first, last, _ := strings.Cut(strings.TrimSpace(spec), "-")
	n, err := strconv.ParseInt(strings.TrimSpace(last), 10, 64)

	return strings.TrimSpace(first) == "" && n == 0 && err == nil
}

// rangeBytes counts the bytes of a response with several ranges. Malformed ones count nothing: they get
// 416.
func rangeBytes(ranges []string, size int64) (total int64) {
	for _, spec := range ranges {
		first, last, _ := strings.Cut(strings.TrimSpace(spec), "-")
		from, fromErr := strconv.ParseInt(strings.TrimSpace(first), 10, 64)

		to, toErr := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
		switch {
		case fromErr != nil && toErr == nil: // the last n bytes
			total += min(to, size)
		case fromErr == nil && from >= size: // none
			continue
		case fromErr == nil && toErr == nil:
			total += min(to, size-1) - from + 1
		case fromErr == nil:
			total += size - from
		}

		total += partOverhead
	}

	return total
}
