// Package validators makes the fields by which clients and caches find out whether a file has changed (RFC 9110,
// section 8.8), in a way that notices older files that take the place of newer ones.
package validators

import (
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ETag is the entity tag of a file in a coding, as "gzip"; an empty coding is the file as it is. The modification
// time counts in nanoseconds, since a deploy may change a file twice in a second.
func ETag(info fs.FileInfo, coding string) string {
	tag := make([]byte, 0, 48)
	tag = append(tag, '"')
	tag = strconv.AppendUint(tag, uint64(info.ModTime().UnixNano()), 16)
	tag = append(tag, '-')
	tag = strconv.AppendUint(tag, uint64(info.Size()), 16) //nolint:gosec // G115: a size is never negative
	if coding != "" {
		tag = append(tag, '-')
		tag = append(tag, coding...)
	}

	return string(append(tag, '"'))
}

// Weak marks a tag of a representation that is made again for each request, and whose bytes may differ then.
func Weak(tag string) string { return "W/" + tag }

// Exact returns r without If-Modified-Since, if that is not exactly the time at which the file was modified.
// [http.ServeContent] takes each later time for "not modified", and so would hide a roll-back to an older file. nginx
// compares in the same way (if_modified_since exact).
//
// More than [MaxRanges] ranges are none that the file has, see there.
func Exact(r *http.Request, modified time.Time) *http.Request {
	r = bounded(r)
	since := r.Header.Get("If-Modified-Since")
	if since == "" {
		return r
	}
	if t, err := http.ParseTime(since); err == nil && t.Unix() == modified.Unix() {
		return r
	}

	exact := *r
	exact.Header = r.Header.Clone()
	exact.Header.Del("If-Modified-Since")

	return &exact
}

// MaxRanges is how many ranges of a file one request may ask for. [http.ServeContent] answers any number of them,
// each with a head of its own: many small ones are more work, and more bytes, than the file.
const MaxRanges = 32

// bounded replaces too many ranges by one that no file has, so that the response has status 416, which RFC 9110,
// section 14.2, allows for many small ranges.
func bounded(r *http.Request) *http.Request {
	if ranges := r.Header.Get("Range"); strings.Count(ranges, ",") < MaxRanges {
		return r
	}

	few := *r
	few.Header = r.Header.Clone()
	few.Header.Set("Range", "bytes="+strconv.Itoa(math.MaxInt)+"-")

	return &few
}
