package turbocache

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What follows is with now being 2000-01-01, when synctest's clock starts.
const (
	never = time.Duration(0)
	year  = maxTTL
)

var policyRows = []struct {
	head string // lines of it
	kept time.Duration
}{
	// Explicit permission.
	{"", never},
	{"Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", never},
	{"Cache-Control:", never},
	{"Cache-Control: must-revalidate", never},
	{"Cache-Control: max-age=60", 60 * time.Second},
	{"Cache-Control: s-maxage=60", 60 * time.Second},
	{"Expires: Sat, 01 Jan 2000 00:01:00 GMT", 60 * time.Second},
	{"Cache-Control: public", 10 * time.Second},
	{"Cache-Control: public\nLast-Modified: Fri, 31 Dec 1999 23:00:00 GMT", 6 * time.Minute},
	{"Cache-Control: public\nLast-Modified: Fri, 31 Dec 1999 23:59:59 GMT", time.Second},
	{"Cache-Control: public\nLast-Modified: Sun, 01 Jan 2040 00:00:00 GMT", time.Second},
	{"Cache-Control: public\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT", 24 * time.Hour},
	{"Cache-Control: public\nLast-Modified: yesterday", 10 * time.Second},
	{"Cache-Control: no-transform\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", 60 * time.Second},

	// Precedence.
	{"Cache-Control: max-age=60, s-maxage=5", 5 * time.Second},
	{"Cache-Control: s-maxage=5, max-age=60, public", 5 * time.Second},
	{"Cache-Control: max-age=60, s-maxage=0", never},
	{"Cache-Control: max-age=0, s-maxage=5", 5 * time.Second},
	{"Cache-Control: max-age=5\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", 5 * time.Second},
	{"Cache-Control: max-age=0\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", never},
	{"Cache-Control: public, max-age=0", never},
	{"Cache-Control: public\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", 60 * time.Second},
	{"Cache-Control: public\nExpires: Fri, 31 Dec 1999 23:59:59 GMT", never},
	{"Cache-Control: public\nExpires: 0", never},

	// Forbidden, in whatever company.
	{"Cache-Control: no-store, max-age=60", never},
	{"Cache-Control: max-age=60, no-store", never},
	{"Cache-Control: max-age=60,no-store", never},
	{"Cache-Control: max-age=60,,\t,NO-Store ,", never},
	{"Cache-Control: max-age=60\nCache-Control: no-store", never},
	{"Cache-Control: no-store=1, max-age=60", never},
	{"Cache-Control: must-understand, no-store, max-age=60", never},
	{"Cache-Control: private, max-age=60", never},
	{"Cache-Control: public, Private, max-age=60", never},
	{`Cache-Control: private="X-Name", s-maxage=60`, never},
	{"Cache-Control: no-cache, max-age=60", never},
	{`Cache-Control: no-cache="Set-Cookie, X-Name", max-age=60`, never},
	{"Cache-Control: no-cache\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", never},
	{"Cache-Control: max-age=60\nPragma: no-cache", never},
	{"Cache-Control: max-age=60\nPragma: X, NO-CACHE", never},

	// Case, space, quoted strings, unknown directives.
	{"cache-control: MAX-AGE=60", 60 * time.Second},
	{"Cache-Control: \t , ,max-age=60 \t,\t, public", 60 * time.Second},
	{"Cache-Control: immutable, max-age=60, stale-while-revalidate=600", 60 * time.Second},
	{`Cache-Control: max-age="60"`, 60 * time.Second},
	{`Cache-Control: x="a, no-store", max-age=60`, 60 * time.Second},
	{`Cache-Control: x="\", no-store, \\", max-age=60`, 60 * time.Second},
	{`Cache-Control: x="\\", no-store, y="", max-age=60`, never},
	{`Cache-Control: x="max-age=60"`, never},
	{`Cache-Control: x="", no-store, max-age=60`, never},
	{"Cache-Control: xno-store, no-storex, max-age=60", 60 * time.Second},
	{"Cache-Control: x=no-store, max-age=60", 60 * time.Second},

	// Garbage.
	{"Cache-Control: max-age", never},
	{"Cache-Control: max-age=", never},
	{"Cache-Control: max-age=abc", never},
	{"Cache-Control: max-age=-60", never},
	{"Cache-Control: max-age=+60", never},
	{"Cache-Control: max-age=60.5", never},
	{"Cache-Control: max-age=0x60", never},
	{"Cache-Control: max-age=60s", never},
	{"Cache-Control: max-age=\uff16\uff10", never},
	{"Cache-Control: max-age =60", never},
	{"Cache-Control: max-age= 60", never},
	{"Cache-Control: max-age=60 public", never},
	{"Cache-Control: max-age=60; no-store", never},
	{"Cache-Control: max-age:60, public", never},
	{`Cache-Control: max-age="60`, never},
	{`Cache-Control: max-age="60"0`, never},
	{`Cache-Control: max-age=6"0"`, never},
	{`Cache-Control: max-age="\60"`, never},
	{"Cache-Control: max-age=60, x=\"", never},
	{"Cache-Control: max-age=60, x=\"\\", never},
	{"Cache-Control: max-age=60, =", never},
	{"Cache-Control: max-age=60, x=", never},
	{"Cache-Control: max-age=60, no\u017ftore", never},
	{"Cache-Control: s-maxage=60, max-age=abc", never},
	{"Cache-Control: s-maxage=abc, max-age=60", never},
	{"Cache-Control: public=1", never},
	{"Cache-Control: max-age=60, @", never},
	{"Cache-Control: @\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", never},

	// Twice.
	{"Cache-Control: max-age=60, max-age=61", never},
	{"Cache-Control: max-age=60, max-age=60", never},
	{"Cache-Control: max-age=60\nCache-Control: Max-Age=61", never},
	{"Cache-Control: s-maxage=60, max-age=1, s-maxage=60", never},
	{"Cache-Control: public, public", never},
	{"Cache-Control: max-age=60\nCache-Control: public", 60 * time.Second},
	{"Expires: Sat, 01 Jan 2000 00:01:00 GMT\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", never},

	// Large numbers.
	{"Cache-Control: max-age=31536000", year},
	{"Cache-Control: max-age=31536001", year},
	{"Cache-Control: max-age=9223372036854775808", year},
	{"Cache-Control: max-age=" + strings.Repeat("9", 1000), year},
	{"Cache-Control: max-age=" + strings.Repeat("0", 1000) + "60", 60 * time.Second},
	{"Expires: Fri, 31 Dec 9999 23:59:59 GMT", year},
	{"Expires: Mon, 01 Jan 0001 00:00:00 GMT\nDate: Fri, 31 Dec 9999 23:59:59 GMT\nAge: 1", never},

	// Expires and Date.
	{"Expires: Sat, 01 Jan 2000 00:00:00 GMT", never},
	{"Expires: Saturday, 01-Jan-00 00:01:00 GMT", 60 * time.Second},
	{"Expires: Sat Jan  1 00:01:00 2000", 60 * time.Second},
	{"Expires: Sat, 01 Jan 2000 00:01:00 UTC", never},
	{"Expires: 946684860", never},
	{"Expires: -1", never},
	{"Expires:", never},
	{"Date: Sat, 01 Jan 2000 00:00:30 GMT\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", 30 * time.Second},
	{"Date: Fri, 31 Dec 1999 23:59:30 GMT\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", 60 * time.Second},
	{"Date: Sat, 01 Jan 2000 00:01:00 GMT\nExpires: Sat, 01 Jan 2000 00:01:00 GMT", never},
	{"Date: Fri, 31 Dec 1999 23:59:30 GMT\nCache-Control: max-age=60", 30 * time.Second},
	{"Date: Fri, 31 Dec 1999 23:59:00 GMT\nCache-Control: max-age=60", never},
	{"Date: today\nCache-Control: max-age=60", never},
	{"Date:\nCache-Control: max-age=60", never},
	{"Date: Sat, 01 Jan 2000 00:00:00 GMT\nDate: Sat, 01 Jan 2000 00:00:00 GMT\nCache-Control: max-age=60", never},

	// Age.
	{"Age: 0\nCache-Control: max-age=60", 60 * time.Second},
	{"Age: 59\nCache-Control: max-age=60", time.Second},
	{"Age: 60\nCache-Control: max-age=60", never},
	{"Age: 9\nCache-Control: public", time.Second},
	{"Age: 99999999999999999999\nCache-Control: max-age=99999999999999999999", never},
	{"Age: 30\nDate: Fri, 31 Dec 1999 23:59:50 GMT\nCache-Control: max-age=60", 30 * time.Second},
	{"Age: -1\nCache-Control: max-age=60", never},
	{"Age: young\nCache-Control: max-age=60", never},
	{"Age:\nCache-Control: max-age=60", never},
	{"Age: 1\nAge: 1\nCache-Control: max-age=60", never},

	// Headers that make it one client's own, or not the whole.
	{"Cache-Control: public, max-age=60\nSet-Cookie: a=b", never},
	{"Cache-Control: public, max-age=60\nset-cookie:", never},
	{"Cache-Control: max-age=60\nVary: Accept-Encoding", never},
	{"Cache-Control: max-age=60\nVary: *", never},
	{"Cache-Control: max-age=60\nWWW-Authenticate: Basic", never},
	{"Cache-Control: max-age=60\nX-Sendfile: /etc/motd", never},
	{"Cache-Control: max-age=60\nX-Accel-Redirect: /internal", never},
	{"Cache-Control: max-age=60\nTrailer: X-Sum", never},
	{"Cache-Control: max-age=60\nUpgrade: h2c", never},
	{"Cache-Control: max-age=60\nConnection: Vary\nVary: Cookie", never},
	{"Cache-Control: max-age=60\nX-Vary: Cookie", 60 * time.Second},
}

// A response is stored if its head permits it, and says nothing doubtful.
//
// Faults: R-21.
func TestStoresOnlyWithExplicitPermission(t *testing.T) {
	for _, row := range policyRows {
		synctest.Test(t, func(t *testing.T) {
			c := New("")
			p := newResponse(200, strings.Split(row.head, "\n")...)
			get(t, c, "http://a.example/", p, "body")
			if row.kept == never {
				requireCached(t, c, false, "http://a.example/", row.head)
				return
			}

			time.Sleep(row.kept - time.Nanosecond)
			requireCached(t, c, true, "http://a.example/", row.head)
			time.Sleep(time.Nanosecond)
			requireCached(t, c, false, "http://a.example/", row.head)
		})
	}
}

// Of the statuses, those of RFC 9110 section 15.1.
//
// Faults: R-21.
func TestStoresOnlyStatusCodesThatAreCacheable(t *testing.T) {
	cacheable := []int{200, 203, 204, 300, 301, 404, 405, 410, 414, 501}
	for status := 200; status < 1000; status++ {
		c := New("")
		get(t, c, "http://a.example/", newResponse(status, "Cache-Control: max-age=60"), "")
		requireCached(t, c, slices.Contains(cacheable, status), "http://a.example/", status)
	}
}

func TestStoresOnlyWholeBodies(t *testing.T) {
	for _, row := range []struct {
		name    string
		length  int64
		chunked bool
		size    int
		kept    bool
	}{
		{"as long as it says", 4, false, 4, true},
		{"empty", 0, false, 0, true},
		{"in chunks", -1, true, 4, true},
		{"up to the end of the connection", -1, false, 4, false},
		{"32 KiB", maxBody, false, maxBody, true},
		{"a byte more than 32 KiB", maxBody + 1, false, maxBody + 1, false},
		{"32 KiB in chunks", -1, true, maxBody, true},
		{"a byte more than 32 KiB in chunks", -1, true, maxBody + 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := New("")
			p := newResponse(200, "Cache-Control: max-age=60")
			p.Length, p.Chunked = row.length, row.chunked
			get(t, c, "http://a.example/", p, strings.Repeat("x", row.size))
			requireCached(t, c, row.kept, "http://a.example/")

			require.Equal(t, row.kept || row.chunked, c.Stats().Stores == 1, "is collected")
		})
	}
}

func TestStoresHeadsUpTo4KiB(t *testing.T) {
	head := []string{
		"Cache-Control: max-age=60", "Date: Sat, 01 Jan 2000 00:00:00 GMT", "X-A: ",
		"Age: 1", "X-Hop: " + strings.Repeat("b", 5000),
	}

	size := len(strings.Join(head[:3], "\r\n")) + len("\r\n")
	for more, kept := range map[int]bool{4096 - size: true, 4097 - size: false} {
		synctest.Test(t, func(t *testing.T) {
			c := New("")
			get(t, c, "http://a.example/",
				newResponse(200, append(slices.Clone(head), "X-A: "+strings.Repeat("a", more-len("X-A: \r\n")))...),
				"body")
			requireCached(t, c, kept, "http://a.example/", more)
		})
	}
}

// Which requests get a stored response, and may have theirs stored.
//
// Faults: R-21.
func TestRequestsThatUseTheCache(t *testing.T) {
	for _, row := range []struct {
		name, method, url string
		header            []string
		uses              bool
	}{
		{"the same", "GET", "http://a.example/a", nil, true},
		{"another path", "GET", "http://a.example/b", nil, false},
		{"another case of the path", "GET", "http://a.example/A", nil, false},
		{"another escape of the path", "GET", "http://a.example/%61", nil, false},
		{"another query", "GET", "http://a.example/a?b", nil, false},
		{"an empty query", "GET", "http://a.example/a?", nil, false},
		{"another case of the host", "GET", "http://A.Example/a", nil, true},
		{"another host", "GET", "http://b.example/a", nil, false},
		{"another port", "GET", "http://a.example:80/a", nil, false},
		{"another scheme", "GET", "https://a.example/a", nil, false},
		{"HEAD", "HEAD", "http://a.example/a", nil, true},
		{"POST", "POST", "http://a.example/a", nil, false},
		{"OPTIONS", "OPTIONS", "http://a.example/a", nil, false},
		{"TRACE", "TRACE", "http://a.example/a", nil, false},
		{"small letters", "get", "http://a.example/a", nil, false},
		{"cache control", "GET", "http://a.example/a", []string{"Cache-Control: max-age=600"}, false},
		{"pragma", "GET", "http://a.example/a", []string{"Pragma: no-cache"}, false},
		{"a user", "GET", "http://a.example/a", []string{"Authorization: Basic eDp5"}, false},
		{"a range", "GET", "http://a.example/a", []string{"Range: bytes=0-1"}, false},
		{"an upgrade", "GET", "http://a.example/a", []string{"Connection: upgrade", "Upgrade: websocket"}, false},
		{"cookies", "GET", "http://a.example/a", []string{"Cookie: a=b"}, true},
		{"another browser", "GET", "http://a.example/a", []string{
			"User-Agent: x", "Accept-Language: de",
			"Sec-Fetch-Mode: cors",
		}, true},
		{"a condition", "GET", "http://a.example/a", []string{`If-None-Match: "x"`}, true},
		{"a connection to keep", "GET", "http://a.example/a", []string{"Connection: Keep-Alive, ,close"}, true},
		{"something of the connection", "GET", "http://a.example/a", []string{"Connection: keep-alive, Cookie"}, false},
		{
			"a host that does not reach the application", "GET", "http://a.example/a",
			[]string{"X-Forwarded-Host: b.example"},
			true,
		},
		{"what a stranger says of proxies", "GET", "http://a.example/a", []string{"Forwarded: host=b.example"}, true},
		{"a method for some frameworks", "GET", "http://a.example/a", []string{"X-HTTP-Method-Override: HEAD"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			first, second := New(""), New("")
			get(t, first, "http://a.example/a", newResponse(200, "Cache-Control: max-age=60"), "body")
			_, hit, _ := lookup(first, row.method, row.url, row.header...)
			require.Equal(t, row.uses, hit, "is served from the cache")

			_, _, k := lookup(second, row.method, row.url, row.header...)
			reply(second, k, newResponse(200, "Cache-Control: max-age=60"), "body")
			_, hit, _ = lookup(second, "GET", "http://a.example/a")
			require.Equal(t, row.uses && row.method == "GET", hit, "its response goes into the cache")
		})
	}
}

// A request that is not known to be a plain one is not served from the cache.
//
// Faults: R-21.
func TestOtherRequestsDoNotUseTheCache(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"a body":                    func(r *Request) { r.HasBody = true },
		"no host":                   func(r *Request) { r.Host = "" },
		"a host with another's key": func(r *Request) { r.Host = "a.example\n/" },
		"another scheme":            func(r *Request) { r.Scheme = "ftp" },
		"a client that is made up": func(r *Request) {
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			r.ClientFirst = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := New(""), newRequest(http.MethodGet, "http://a.example/")
			change(r)
			var ticket Ticket
			_, hit := c.Lookup(&ticket, r)

			require.False(t, hit)
			require.Equal(t, ignores, ticket.use)
			require.Zero(t, c.Stats())
		})
	}
}

var (
	quotedString = regexp.MustCompile(`(?s)"(\\.|[^"\\])*"`)
	noStore      = regexp.MustCompile(`(?i)(^|[\s,])no-store($|[\s,=])`)
)

func FuzzCacheControl(f *testing.F) {
	for _, row := range policyRows {
		h := newResponse(200, strings.Split(row.head, "\n")...).Header
		lines := append(h["Cache-Control"], "", "")
		f.Add(lines[0], lines[1], h.Get("Age"), h.Get("Date"), h.Get("Expires"), h.Get("Last-Modified"))
	}

	f.Fuzz(func(t *testing.T, first, second, age, date, expires, modified string) {
		h := http.Header{"Cache-Control": {first, second}}
		for name, value := range map[string]string{
			"Age": age, "Date": date, "Expires": expires,
			"Last-Modified": modified,
		} {
			if value != "" {
				h.Set(name, value)
			}
		}

		ttl, old, ok := freshness(200, h, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
		if !ok {
			return
		}

		require.Greater(t, ttl, never)
		require.LessOrEqual(t, ttl, maxTTL)
		require.GreaterOrEqual(t, old, never)
		require.LessOrEqual(t, ttl+old, maxTTL)

		for _, line := range h["Cache-Control"] {
			require.NotRegexp(t, noStore, quotedString.ReplaceAllString(line, ""))
		}
	})
}
