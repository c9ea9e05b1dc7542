package turbocache

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/proxyheader"
)

// passAll lets the application see every field but Connection and those that only trusted proxies may set.
type passAll struct{}

func (passAll) Reaches(name string) bool {
	return name != "Connection" && proxyheader.Of(name) == proxyheader.Anybody
}

// newRequest returns a request from the lines of its header.
func newRequest(method, address string, lines ...string) *Request {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}

	r := &Request{
		Method:      method,
		Scheme:      u.Scheme,
		Host:        u.Host,
		URI:         u.RequestURI(),
		Header:      http.Header{},
		ClientFirst: true,
		Filter:      passAll{},
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}

	return r
}

func lookup(c *Cache, method, url string, lines ...string) (Hit, bool, *Ticket) {
	t := new(Ticket)
	hit, ok := c.Lookup(t, newRequest(method, url, lines...))

	return hit, ok, t
}

// newResponse returns a response in chunks, from the lines of its header.
func newResponse(status int, lines ...string) *Response {
	r := &Response{
		Status:  status,
		Header:  http.Header{},
		Length:  -1,
		Chunked: true,
	}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ":"); ok {
			r.Header.Add(name, strings.Trim(value, " \t"))
		}
	}

	return r
}

// permits asks the cache whether it may store a response of which all fields are for clients, but X-Hop.
func permits(c *Cache, t *Ticket, r *Response) bool {
	return c.Permits(t, r, func(to http.Header) {
		maps.Copy(to, r.Header)
		delete(to, "X-Hop")
	})
}

// reply does what has to be done with a response.
func reply(c *Cache, t *Ticket, r *Response, body string) {
	c.Invalidate(t, r.Header)
	if permits(c, t, r) {
		c.Store(t, []byte(body))
	}
}

// get asks for url, which the cache does not have, and lets the application respond with r.
func get(t testing.TB, c *Cache, url string, r *Response, body string) {
	t.Helper()
	_, hit, ticket := lookup(c, http.MethodGet, url)
	require.False(t, hit)
	reply(c, ticket, r, body)
}

// fill stores a response to each.
func fill(t testing.TB, c *Cache, urls ...string) {
	t.Helper()

	for _, url := range urls {
		get(t, c, url, newResponse(200, "Cache-Control: max-age=60"), url)
	}
}

func requireCached(t testing.TB, c *Cache, want bool, url string, about ...any) {
	t.Helper()
	_, hit, _ := lookup(c, http.MethodGet, url)
	require.Equal(t, want, hit, append([]any{url + " %q"}, about...)...)
}

func TestNilCacheKeepsNothing(t *testing.T) {
	var c *Cache
	fill(t, c, "http://a.example/", "http://a.example/")
	_, hit, k := lookup(c, http.MethodPost, "http://a.example/")
	require.False(t, hit)
	c.Invalidate(k, http.Header{"Location": {"/"}})
	require.Zero(t, c.Stats())
}

func TestKeysUpTo256Bytes(t *testing.T) {
	const url = "http://a.example/"

	uri := 256 - len("Ha.example\n/")
	for _, row := range []struct {
		vary, cookie string
		uri          int
		kept         bool
	}{
		{"", "", uri, true},
		{"", "", uri + 1, false},
		{"v", "", uri - 1, true},
		{"v", "", uri, false},
		{"v", "v=abc", uri - 4, true},
		{"v", "v=abcd", uri - 4, false},
	} {
		c, url := New(row.vary), url+strings.Repeat("x", row.uri)
		for _, want := range []bool{false, row.kept} {
			_, hit, k := lookup(c, http.MethodGet, url, "Cookie: "+row.cookie)
			require.Equal(t, want, hit, "%+v", row)
			reply(c, k, newResponse(200, "Cache-Control: max-age=60"), "body")
		}
	}
}

func TestCacheVariesByACookie(t *testing.T) {
	const url = "http://a.example/"

	c := New("lang")
	for _, value := range []string{"", "en", "de"} {
		_, _, k := lookup(c, http.MethodGet, url, "Cookie: lang="+value)
		reply(c, k, newResponse(200, "Cache-Control: max-age=60"), "in "+value)
	}

	for _, row := range []struct {
		cookies string // lines
		gets    string // or "nothing", or "no ticket"
	}{
		{"lang=en", "in en"},
		{"a=b;lang=en", "in en"},
		{"a=b; \tlang=de; lang2=x; xlang=y; x-lang=z; c=lang", "in de"},
		{"a=b\nlang=de", "in de"},
		{"", "in "},
		{"a=b", "in "},
		{"lang", "in "},
		{"lang;a=b", "in "},
		{"lang2=en; xlang=en", "in "},
		{"Lang=en", "in "},
		{"lang=en ", "nothing"},
		{`lang="en"`, "nothing"},
		{"lang=fr", "nothing"},
		// Some parsers would find another one.
		{"lang=en; lang=fr", "no ticket"},
		{"lang=en; lang=en", "no ticket"},
		{"lang=en\nlang=fr", "no ticket"},
		{"lang=en, lang=fr", "no ticket"},
		{"a=b, lang=en", "no ticket"},
		{`a="b lang=en"`, "no ticket"},
		{"a lang=en", "no ticket"},
		{"lang =en", "no ticket"},
		{"lang=en; lang\t=fr", "no ticket"},
	} {
		var lines []string
		for line := range strings.SplitSeq(row.cookies, "\n") {
			lines = append(lines, "Cookie: "+line)
		}

		got := "no ticket"
		if hit, ok, k := lookup(c, http.MethodGet, url, lines...); ok {
			got = string(hit.Body)
		} else if k.use != ignores {
			got = "nothing"
		}

		require.Equal(t, row.gets, got, "%q", row.cookies)
	}
}

func TestCacheIsInvalidatedByWrites(t *testing.T) {
	stored := []string{
		"http://a.example/", "http://a.example/a", "http://a.example/a?b", "https://a.example/a",
		"http://b.example/a", "http://a.example:81/a", "http://a.example/d/e",
	}
	for _, row := range []struct {
		method, url string
		head        string
		gone        []int // of what is stored
	}{
		{"GET", stored[1], "Location: /a?b", nil},
		{"HEAD", stored[1], "Location: /a?b", nil},
		{"OPTIONS", stored[1], "Location: /a?b", nil},
		{"TRACE", stored[1], "Location: /a?b", nil},
		{"POST", stored[1], "", []int{1}},
		{"PUT", stored[2], "", []int{2}},
		{"PATCH", stored[3], "", []int{3}},
		{"DELETE", "http://A.EXAMPLE/a", "", []int{1}},
		{"PROPFIND", stored[1], "", []int{1}},
		{"get", stored[1], "", []int{1}},
		{"POST", "http://a.example/c", "", nil},
		{"POST", "http://a.example/c", "Location: /a", []int{1}},
		{"POST", "http://a.example/c", "Content-Location: /a#part", []int{1}},
		{"POST", stored[1], "Location: /\nContent-Location: /a?b", []int{0, 1, 2}},
		{"POST", "http://a.example/c", "Location: /a\nLocation: /a?b", []int{1, 2}},
		{"POST", "http://a.example/c", "Location: http://A.Example/a", []int{1}},
		{"POST", "http://a.example/c", "Location: https://a.example/a", []int{1}},
		{"POST", "https://a.example/c", "Location: /a", []int{3}},
		{"POST", "http://a.example/c", "Location: //a.example/a?b", []int{2}},
		{"POST", "http://a.example/c", "Location: HTTP://a.example", []int{0}},
		{"POST", "http://a.example/c", "Location: http://a.example/?b", nil},
		{"POST", "http://a.example/c", "Location: http://a.example#?b", []int{0}},
		{"POST", "http://a.example:81/c", "Location: http://a.example:81/a", []int{5}},
		{"POST", "http://a.example/c", "Location: http://a.example:81/a", nil},
		{"POST", "http://a.example/c", "Location: http://b.example/a", nil},
		{"POST", "http://a.example/c", "Location: //b.example/a", nil},
		{"POST", "http://a.example/c", "Location: http://a.example@b.example/a", nil},
		{"POST", "http://a.example/c", "Location: http://x@a.example/a", nil},
		{"POST", "http://a.example/c", "Location: a", []int{1}},
		{"POST", "http://a.example/c?q=/x/", "Content-Location: a?b", []int{2}},
		{"POST", "http://a.example/a?c", "Location: ?b", []int{2}},
		{"POST", "http://a.example/d/c", "Location: e", []int{6}},
		{"POST", "http://a.example/d/c", "Location: ./e#part", []int{6}},
		{"POST", "http://a.example/d/", "Location: x/../e", []int{6}},
		{"POST", "http://a.example/d/c", "Location: ../a", []int{1}},
		{"POST", "http://a.example/d/c", "Location: ../../../a?b", []int{2}},
		{"POST", "http://a.example/d/c", "Location: ..", []int{0}},
		{"POST", "http://a.example/d/e", "Location: #part", []int{6}},
		{"POST", "http://a.example/c", "Location: a:a", nil},
		{"POST", "http://a.example/" + strings.Repeat("c", 300), "Location: a", nil},
		{"POST", "http://a.example/c", "Location:", nil},
		{"POST", "http://a.example/c", "Location: http:", nil},
		{"POST", "http://a.example/c", "Location: http://", nil},
		{"POST", "http://a.example/" + strings.Repeat("c", 300), "Location: /a", []int{1}},
		{"POST", "http://a.example/c", "Location: /" + strings.Repeat("a", 300), nil},
	} {
		c := New("")
		fill(t, c, stored...)
		_, hit, k := lookup(c, row.method, row.url)
		if !hit {
			reply(c, k, newResponse(500, strings.Split(row.head, "\n")...), "")
		}

		for i, url := range stored {
			gone := false
			for _, g := range row.gone {
				gone = gone || g == i
			}

			requireCached(t, c, !gone, url, row)
		}
	}
}

func TestCacheIsInvalidatedWithEveryCookie(t *testing.T) {
	c := New("lang")
	for range 2 {
		for _, cookie := range []string{"", "lang=en", "lang=de"} {
			_, hit, k := lookup(c, http.MethodGet, "http://a.example/", "Cookie: "+cookie)
			require.False(t, hit)
			reply(c, k, newResponse(200, "Cache-Control: max-age=60"), "body")
		}

		_, _, k := lookup(c, http.MethodPost, "http://a.example/", "Cookie: lang=en; lang=de")
		reply(c, k, newResponse(200), "")
	}
}

func TestCacheDoesNotStoreWhatRacedWithAWrite(t *testing.T) {
	const url = "http://a.example/a"
	for name, write := range map[string]func(*Cache){
		"on the same URL": func(c *Cache) {
			_, _, k := lookup(c, http.MethodPost, url)
			c.Invalidate(k, nil)
		},
		"that tells its location": func(c *Cache) {
			_, _, k := lookup(c, http.MethodPost, "http://a.example/")
			c.Invalidate(k, http.Header{"Location": {url}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := New("lang"), newResponse(200, "Cache-Control: max-age=60")
			_, _, before := lookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.True(t, permits(c, before, p))
			write(c)
			c.Store(before, []byte("old"))
			_, hit, _ := lookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.False(t, hit)
			reply(c, before, p, "old")
			_, hit, _ = lookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.False(t, hit)
			require.Equal(t, Stats{Fetches: 3, Stores: 2}, c.Stats())

			_, _, after := lookup(c, http.MethodGet, url)
			reply(c, after, p, "new")
			requireCached(t, c, true, url)
		})
	}
}

func TestCacheMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := func(i int) string { return "http://a.example/" + strconv.Itoa(i) }

		c := New("")
		for i := range maxEntries {
			age := strconv.Itoa(60 + i)
			get(t, c, url(i), newResponse(200, "Cache-Control: max-age="+age, "Date: Sat, 01 Jan 2050 00:00:0"+
				age[1:]+" GMT"), "body")
		}

		stays := func(want ...bool) {
			t.Helper()

			for i, want := range want {
				requireCached(t, c, want, url(i))
			}
		}
		stays(true, true, true, true, true, true, true, true, false)
		fill(t, c, url(8)) // instead of the one stored first
		stays(false, true, true, true, true, true, true, true, true, false)

		_, _, k := lookup(c, http.MethodPost, url(4))
		c.Invalidate(k, nil)
		fill(t, c, url(9)) // where there is room
		require.Equal(t, url(9), string(c.slots[4].Load().body))
		stays(false, true, true, true, false, true, true, true, true, true)

		time.Sleep(62 * time.Second) // 1, 2, 8 and 9 have expired
		fill(t, c, url(10), url(11), url(12), url(13))
		require.Equal(t, url(10), string(c.slots[0].Load().body))
		stays(false, false, false, true, false, true, true, true, false, false, true, true, true, true)
		fill(t, c, url(14)) // instead of 3
		stays(false, false, false, false, false, true, true, true, false, false, true, true, true, true, true)
	})
}

func TestCacheKeepsOneResponseOfAKey(t *testing.T) {
	c, p := New(""), newResponse(200, "Cache-Control: max-age=60")
	fill(t, c, "http://a.example/1")
	_, _, first := lookup(c, http.MethodGet, "http://a.example/")
	_, _, second := lookup(c, http.MethodGet, "http://a.example/")
	reply(c, first, p, "first")
	reply(c, second, p, "second")
	hit, ok, _ := lookup(c, http.MethodGet, "http://a.example/")
	require.True(t, ok)
	require.Equal(t, "second", string(hit.Body))
	fill(t, c, "http://a.example/2", "http://a.example/3", "http://a.example/4", "http://a.example/5",
		"http://a.example/6", "http://a.example/7")
	requireCached(t, c, true, "http://a.example/1")
}

func TestCacheCountsTimeFromTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New("")
		for _, url := range []string{"http://a.example/quick", "http://a.example/slow"} {
			_, _, k := lookup(c, http.MethodGet, url)
			require.True(t, permits(c, k, newResponse(200, "Cache-Control: max-age=60")))
			time.Sleep(30 * time.Second)
			if url == "http://a.example/slow" {
				time.Sleep(30 * time.Second)
			}

			c.Store(k, nil)
		}

		require.Equal(t, Stats{Fetches: 2, Stores: 2, StoreSuccesses: 1}, c.Stats())
	})
}
