package turbocache

import (
	"net/http"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/httpfield"
)

const (
	// maxTTL bounds how long a response is kept, whatever it says.
	maxTTL = 365 * 24 * time.Hour
	// A response that does not say how long stays fresh for a tenth of the time since its last change, within limits.
	minHeuristic     = time.Second
	maxHeuristic     = 24 * time.Hour
	unknownHeuristic = 10 * time.Second
)

// cacheableStatuses are those that RFC 9110 section 15.1 lets caches keep, except 206.
var cacheableStatuses = map[int]bool{
	http.StatusOK: true, http.StatusNonAuthoritativeInfo: true, http.StatusNoContent: true,
	http.StatusMultipleChoices: true, http.StatusMovedPermanently: true, http.StatusNotFound: true,
	http.StatusMethodNotAllowed: true, http.StatusGone: true, http.StatusRequestURITooLong: true,
	http.StatusNotImplemented: true,
}

// uncacheable are fields of responses that are for one client, or whose body is not the whole.
var uncacheable = [...]string{
	"Vary", "Set-Cookie", "Www-Authenticate", "X-Sendfile", "X-Accel-Redirect", "Trailer", "Upgrade",
}

// freshness decides whether a shared cache may keep a response that arrives now: its head says so explicitly, and says
// nothing doubtful. age is how old the response is already, and ttl, more than zero, how long it stays fresh from now.
func freshness(status int, h http.Header, now time.Time) (ttl, age time.Duration, ok bool) {
	if len(h["Cache-Control"]) == 0 && len(h["Expires"]) == 0 {
		// The ordinary case: the response does not say anything about caches.
		return 0, 0, false
	}

	if !cacheableStatuses[status] || httpfield.HasToken(h["Pragma"], "no-cache") {
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

	ttl = min(max(lifetime, 0), maxTTL) - age

	return ttl, age, ttl > 0
}

// dateOf returns when the response was made: now, if it does not say.
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

// cacheControl has the directives of Cache-Control that matter here.
type cacheControl struct {
	forbidden, public bool
	// Both are -1 if absent.
	maxAge, sharedMaxAge time.Duration
}

// lifetime returns how long a response of that date is fresh. ok is false if the response does not say.
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

// parseCacheControl is strict: ok is false for what does not follow the grammar, and for a directive that matters and
// comes twice. Unknown directives are ignored.
func parseCacheControl(lines []string) (cc cacheControl, ok bool) {
	cc.maxAge, cc.sharedMaxAge = -1, -1
	for _, line := range lines {
		for {
			// Elements may be empty.
			line = strings.TrimLeft(line, " \t,")
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

// cutDirective cuts the first element off a list, with everything up to the next comma.
func cutDirective(list string) (d directive, rest string, ok bool) {
	if i := strings.IndexAny(list, "=, \t"); i >= 0 {
		list, rest = list[:i], list[i:]
	}

	if !httpfield.IsToken(list) {
		return d, "", false
	}

	// A token is ASCII.
	d.name = strings.ToLower(list)
	if strings.HasPrefix(rest, "=") {
		d.hasValue = true
		if d.value, rest, ok = cutValue(rest[1:]); !ok {
			return d, "", false
		}
	}

	rest = strings.TrimLeft(rest, " \t")

	return d, rest, rest == "" || rest[0] == ','
}

// cutValue cuts a token or a quoted string off. Escapes in the string stay as they are.
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

// seconds sets to, unless it has been set before.
func (d *directive) seconds(to *time.Duration) (ok bool) {
	if *to >= 0 {
		return false
	}

	*to, ok = deltaSeconds(d.value)

	return ok
}

// deltaSeconds parses what RFC 9111 section 1.2.2 calls so. Anything above maxTTL counts as maxTTL.
func deltaSeconds(s string) (d time.Duration, ok bool) {
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}

		n = min(n*10+int64(c-'0'), int64(maxTTL/time.Second))
	}

	return time.Duration(n) * time.Second, s != ""
}
