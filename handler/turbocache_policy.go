package handler

import (
	"net/http"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

const (
	// maxCacheTime bounds for how long an answer is kept, whatever it says.
	maxCacheTime = 365 * 24 * time.Hour
	// Without a word about it: for a tenth of the time for which it has not
	// changed, within limits.
	minHeuristic     = time.Second
	maxHeuristic     = 24 * time.Hour
	unknownHeuristic = 10 * time.Second
)

// cacheableStatus are those that RFC 9110 section 15.1 lets caches keep, but
// for 206.
var cacheableStatus = map[int]bool{
	http.StatusOK: true, http.StatusNonAuthoritativeInfo: true, http.StatusNoContent: true,
	http.StatusMultipleChoices: true, http.StatusMovedPermanently: true, http.StatusNotFound: true,
	http.StatusMethodNotAllowed: true, http.StatusGone: true, http.StatusRequestURITooLong: true,
	http.StatusNotImplemented: true,
}

// uncacheable are headers of answers that are for one client, or of which the
// body is not the whole.
var uncacheable = [...]string{
	"Vary", "Set-Cookie", "Www-Authenticate", "X-Sendfile", "X-Accel-Redirect", "Trailer",
	"Upgrade",
}

// freshness says whether a shared cache may keep an answer that comes now: its
// head says so explicitly, and says nothing that we doubt. age is how old it
// is already, and ttl, more than 0, how long it stays fresh from now on.
func freshness(status int, h http.Header, now time.Time) (ttl, age time.Duration, ok bool) {
	if len(h["Cache-Control"]) == 0 && len(h["Expires"]) == 0 {
		return 0, 0, false // the ordinary case
	}

	if !cacheableStatus[status] || hasToken(h["Pragma"], "no-cache") {
		return 0, 0, false
	}

	for _, name := range uncacheable {
		if _, has := h[name]; has {
			return 0, 0, false
		}
	}

	cc, ok := parseCacheControl(h["Cache-Control"])
	if !ok || cc.forbidden {
		return 0, 0, false
	}

	date, ok := dateOf(h, now)
	if !ok {
		return 0, 0, false
	}

	if age, ok = ageOf(h); !ok {
		return 0, 0, false
	}

	age = max(age, now.Sub(date).Truncate(time.Second))
	lifetime, ok := cc.lifetime(h, date)
	if !ok {
		return 0, 0, false
	}

	ttl = min(max(lifetime, 0), maxCacheTime) - age

	return ttl, age, ttl > 0
}

// dateOf is when the answer was made: now, if it does not say.
func dateOf(h http.Header, now time.Time) (date time.Time, ok bool) {
	switch dates := h["Date"]; len(dates) {
	case 0:
		return now, true
	case 1:
		date, err := http.ParseTime(dates[0])
		return date, err == nil
	}

	return time.Time{}, false
}

func ageOf(h http.Header) (age time.Duration, ok bool) {
	switch ages := h["Age"]; len(ages) {
	case 0:
		return 0, true
	case 1:
		return deltaSeconds(ages[0])
	}

	return 0, false
}

// cacheControl is what we know of the header.
type cacheControl struct {
	forbidden, public bool
	// These are -1 if absent.
	maxAge, sharedMaxAge time.Duration
}

// lifetime is for how long an answer of that date is fresh. ok is false if that
// was left open.
func (cc *cacheControl) lifetime(h http.Header, date time.Time) (d time.Duration, ok bool) {
	switch {
	case cc.sharedMaxAge >= 0:
		return cc.sharedMaxAge, true
	case cc.maxAge >= 0:
		return cc.maxAge, true
	}

	if expires := h["Expires"]; len(expires) > 0 {
		at, err := http.ParseTime(expires[0])
		return at.Sub(date), err == nil && len(expires) == 1
	}

	if !cc.public {
		return 0, false
	}

	return heuristic(h, date), true
}

func heuristic(h http.Header, date time.Time) time.Duration {
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return unknownHeuristic
	}

	return min(max(date.Sub(modified)/10, minHeuristic), maxHeuristic)
}

// parseCacheControl is strict: ok is false for what does not follow the
// grammar, and if something that matters is said twice. Directives that it does
// not know it ignores.
func parseCacheControl(lines []string) (cc cacheControl, ok bool) {
	cc.maxAge, cc.sharedMaxAge = -1, -1
	for _, line := range lines {
		for {
			line = strings.TrimLeft(line, " \t,") // elements may be empty
			if line == "" {
				break
			}

			d, rest, ok := cutDirective(line)
			if !ok || !cc.add(d) {
				return cacheControl{}, false
			}

			line = rest
		}
	}

	return cc, true
}

func (cc *cacheControl) add(d directive) (ok bool) {
	switch d.name {
	case "no-store", "no-cache", "private":
		cc.forbidden = true
	case "public":
		ok = !cc.public && !d.hasValue
		cc.public = true
		return ok
	case "max-age":
		return d.seconds(&cc.maxAge)
	case "s-maxage":
		return d.seconds(&cc.sharedMaxAge)
	}

	return true
}

// directive is an element of Cache-Control.
type directive struct {
	name, value string
	hasValue    bool
}

// cutDirective cuts the first element off a list, with all up to the next
// comma.
func cutDirective(list string) (d directive, rest string, ok bool) {
	if i := strings.IndexAny(list, "=, \t"); i >= 0 {
		list, rest = list[:i], list[i:]
	}

	if !httpfield.IsToken(list) {
		return d, "", false
	}

	d.name = strings.ToLower(list) // ASCII, being a token
	if strings.HasPrefix(rest, "=") {
		d.hasValue = true
		if d.value, rest, ok = cutValue(rest[1:]); !ok {
			return d, "", false
		}
	}

	rest = strings.TrimLeft(rest, " \t")

	return d, rest, rest == "" || rest[0] == ','
}

// cutValue cuts a token or a quoted string off, of which it leaves escapes as
// they are.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexAny(s, ", \t"); i >= 0 {
			s, rest = s[:i], s[i:]
		}

		return s, rest, httpfield.IsToken(s)
	}

	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return s[1:i], s[i+1:], true
		case '\\':
			i++
		}
	}

	return "", "", false
}

// seconds sets to, which nobody has set before.
func (d *directive) seconds(to *time.Duration) (ok bool) {
	if *to >= 0 {
		return false
	}

	*to, ok = deltaSeconds(d.value)

	return ok
}

// deltaSeconds is of what RFC 9111 section 1.2.2 calls so. What is more than we
// keep anything for counts as that.
func deltaSeconds(s string) (d time.Duration, ok bool) {
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}

		n = min(n*10+int64(c-'0'), int64(maxCacheTime/time.Second))
	}

	return time.Duration(n) * time.Second, s != ""
}
