package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// cacheRequest is one of net/http's, with lines of its head.
func cacheRequest(method, url string, lines ...string) (*http.Request, *target) {
	r := httptest.NewRequest(method, url, nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}

	t, err := newTarget(r, "")
	if err != nil {
		panic(err)
	}

	return r, &t
}

func cacheLookup(c *turbocache, method, url string, lines ...string) (cacheHit, bool, *cacheTicket) {
	r, t := cacheRequest(method, url, lines...)
	k := new(cacheTicket)
	hit, ok := c.lookup(k, r, t, scheme(r, false), seenRequest{knowsClient: true})

	return hit, ok, k
}

// cacheAnswer is as the application has sent it, in chunks.
func cacheAnswer(t testing.TB, status int, lines ...string) *response {
	t.Helper()
	var p response
	require.NoError(t, p.parse(fmt.Sprintf("HTTP/1.1 %d X\r\n%s\r\n\r\n", status, strings.Join(lines, "\r\n"))))
	p.length, p.chunked = -1, true

	return &p
}

// cacheReply does what is to be done with an answer.
func cacheReply(c *turbocache, k *cacheTicket, p *response, body string) {
	c.invalidate(k, p.header)
	if c.permits(k, p) {
		c.store(k, []byte(body))
	}
}

// cacheSend answers w from the cache.
func cacheSend(hit *cacheHit, w http.ResponseWriter) {
	hit.copyHeader(w.Header())
	w.WriteHeader(hit.entry.status)
	if len(hit.body) > 0 {
		_, _ = w.Write(hit.body)
	}
}

// cacheGet asks for url, which the cache does not have, and gives it p.
func cacheGet(t testing.TB, c *turbocache, url string, p *response, body string) {
	t.Helper()
	_, hit, k := cacheLookup(c, http.MethodGet, url)
	require.False(t, hit)
	cacheReply(c, k, p, body)
}

// cacheFill stores an answer to each.
func cacheFill(t testing.TB, c *turbocache, urls ...string) {
	t.Helper()

	for _, url := range urls {
		cacheGet(t, c, url, cacheAnswer(t, 200, "Cache-Control: max-age=60"), url)
	}
}

func requireCached(t testing.TB, c *turbocache, want bool, url string, about ...any) {
	t.Helper()
	_, hit, _ := cacheLookup(c, http.MethodGet, url)
	require.Equal(t, want, hit, append([]any{url + " %q"}, about...)...)
}

func TestTurbocacheAnswersAsTheApplicationDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTurbocache("")
		p := cacheAnswer(t, 404, "Cache-Control: max-age=60", "Age: 7", "content-type: text/x", "X-Two: 1", "x-two: 2",
			"Content-Length: 99", "Status: 404 X", "!~Request-OOB-Work: 1", "Connection: X-Hop", "X-Hop: 1",
			"Keep-Alive: 1")
		body := []byte("body")
		_, _, k := cacheLookup(c, http.MethodGet, "http://a.example/")
		require.True(t, c.permits(k, p))
		p.header["X-Two"][0] = "changed"
		clear(p.header)
		c.store(k, body)
		body[0] = 'X'
		time.Sleep(2500 * time.Millisecond)

		for range 2 { // the second one after the client of the first has changed its header
			for method, body := range map[string]string{"GET": "body", "HEAD": ""} {
				hit, ok, k := cacheLookup(c, method, "http://a.example/")
				require.True(t, ok)
				require.Equal(t, cacheIgnores, k.use)
				w := httptest.NewRecorder()
				w.Header().Set("X-Server", "own")
				cacheSend(&hit, w)
				require.Equal(t, 404, w.Code)
				require.Equal(t, body, w.Body.String())
				require.Equal(t, http.Header{
					"Age": {"9"}, "Cache-Control": {"max-age=60"}, "Content-Length": {"4"}, "Content-Type": {"text/x"},
					"Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}, "X-Server": {"own"}, "X-Two": {"1", "2"},
				}, w.Header())

				for name, values := range w.Header() {
					values[0] = "changed"
					w.Header().Add(name, "added")
				}

				for _, values := range w.Header() {
					require.Equal(t, "changed", values[0])
				}
			}
		}
	})
}

func TestTurbocacheAnswersWithoutContent(t *testing.T) {
	c := newTurbocache("")
	cacheGet(t, c, "http://a.example/", cacheAnswer(t, 204, "Cache-Control: max-age=60",
		"Date: Sat, 01 Jan 2050 00:00:00 GMT"), "")
	hit, _, _ := cacheLookup(c, http.MethodGet, "http://a.example/")
	h := http.Header{}
	hit.copyHeader(h)
	require.Equal(t, http.Header{
		"Age": {"0"}, "Cache-Control": {"max-age=60"}, "Content-Type": nil,
		"Date": {"Sat, 01 Jan 2050 00:00:00 GMT"},
	}, h)
}

func TestNoTurbocacheKeepsNothing(t *testing.T) {
	var c *turbocache
	cacheFill(t, c, "http://a.example/", "http://a.example/")
	_, hit, k := cacheLookup(c, http.MethodPost, "http://a.example/")
	require.False(t, hit)
	c.invalidate(k, http.Header{"Location": {"/"}})
	require.Zero(t, c.stats())
}

func TestTurbocacheKeysUpTo256Bytes(t *testing.T) {
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
		c, url := newTurbocache(row.vary), url+strings.Repeat("x", row.uri)
		for _, want := range []bool{false, row.kept} {
			_, hit, k := cacheLookup(c, http.MethodGet, url, "Cookie: "+row.cookie)
			require.Equal(t, want, hit, "%+v", row)
			cacheReply(c, k, cacheAnswer(t, 200, "Cache-Control: max-age=60"), "body")
		}
	}
}

func TestTurbocacheVariesByACookie(t *testing.T) {
	const url = "http://a.example/"

	c := newTurbocache("lang")
	for _, value := range []string{"", "en", "de"} {
		_, _, k := cacheLookup(c, http.MethodGet, url, "Cookie: lang="+value)
		cacheReply(c, k, cacheAnswer(t, 200, "Cache-Control: max-age=60"), "in "+value)
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
		if hit, ok, k := cacheLookup(c, http.MethodGet, url, lines...); ok {
			got = string(hit.body)
		} else if k.use != cacheIgnores {
			got = "nothing"
		}

		require.Equal(t, row.gets, got, "%q", row.cookies)
	}
}

func TestTurbocacheIsInvalidatedByWrites(t *testing.T) {
	stored := []string{
		"http://a.example/", "http://a.example/a", "http://a.example/a?b", "https://a.example/a",
		"http://b.example/a", "http://a.example:81/a",
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
		{"POST", "http://a.example/c", "Location: a", nil},
		{"POST", "http://a.example/c", "Location:", nil},
		{"POST", "http://a.example/c", "Location: http:", nil},
		{"POST", "http://a.example/c", "Location: http://", nil},
		{"POST", "http://a.example/" + strings.Repeat("c", 300), "Location: /a", []int{1}},
		{"POST", "http://a.example/c", "Location: /" + strings.Repeat("a", 300), nil},
	} {
		c := newTurbocache("")
		cacheFill(t, c, stored...)
		_, hit, k := cacheLookup(c, row.method, row.url)
		if !hit {
			cacheReply(c, k, cacheAnswer(t, 500, strings.Split(row.head, "\n")...), "")
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

func TestTurbocacheIsInvalidatedWithEveryCookie(t *testing.T) {
	c := newTurbocache("lang")
	for range 2 {
		for _, cookie := range []string{"", "lang=en", "lang=de"} {
			_, hit, k := cacheLookup(c, http.MethodGet, "http://a.example/", "Cookie: "+cookie)
			require.False(t, hit)
			cacheReply(c, k, cacheAnswer(t, 200, "Cache-Control: max-age=60"), "body")
		}

		_, _, k := cacheLookup(c, http.MethodPost, "http://a.example/", "Cookie: lang=en; lang=de")
		cacheReply(c, k, cacheAnswer(t, 200), "")
	}
}

func TestTurbocacheDoesNotStoreWhatRacedWithAWrite(t *testing.T) {
	const url = "http://a.example/a"
	for name, write := range map[string]func(*turbocache){
		"on the same URL": func(c *turbocache) {
			_, _, k := cacheLookup(c, http.MethodPost, url)
			c.invalidate(k, nil)
		},
		"that tells its location": func(c *turbocache) {
			_, _, k := cacheLookup(c, http.MethodPost, "http://a.example/")
			c.invalidate(k, http.Header{"Location": {url}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := newTurbocache("lang"), cacheAnswer(t, 200, "Cache-Control: max-age=60")
			_, _, before := cacheLookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.True(t, c.permits(before, p))
			write(c)
			c.store(before, []byte("old"))
			_, hit, _ := cacheLookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.False(t, hit)
			cacheReply(c, before, p, "old")
			_, hit, _ = cacheLookup(c, http.MethodGet, url, "Cookie: lang=en")
			require.False(t, hit)
			require.Equal(t, TurbocacheStats{Fetches: 3, Stores: 2}, c.stats())

			_, _, after := cacheLookup(c, http.MethodGet, url)
			cacheReply(c, after, p, "new")
			requireCached(t, c, true, url)
		})
	}
}

func TestTurbocacheMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := func(i int) string { return "http://a.example/" + strconv.Itoa(i) }

		c := newTurbocache("")
		for i := range cacheEntries {
			age := strconv.Itoa(60 + i)
			cacheGet(t, c, url(i), cacheAnswer(t, 200, "Cache-Control: max-age="+age, "Date: Sat, 01 Jan 2050 00:00:0"+
				age[1:]+" GMT"), "body")
		}

		stays := func(want ...bool) {
			t.Helper()

			for i, want := range want {
				requireCached(t, c, want, url(i))
			}
		}
		stays(true, true, true, true, true, true, true, true, false)
		cacheFill(t, c, url(8)) // instead of the one stored first
		stays(false, true, true, true, true, true, true, true, true, false)

		_, _, k := cacheLookup(c, http.MethodPost, url(4))
		c.invalidate(k, nil)
		cacheFill(t, c, url(9)) // where there is room
		require.Equal(t, url(9), string(c.slots[4].Load().body))
		stays(false, true, true, true, false, true, true, true, true, true)

		time.Sleep(62 * time.Second) // 1, 2, 8 and 9 have expired
		cacheFill(t, c, url(10), url(11), url(12), url(13))
		require.Equal(t, url(10), string(c.slots[0].Load().body))
		stays(false, false, false, true, false, true, true, true, false, false, true, true, true, true)
		cacheFill(t, c, url(14)) // instead of 3
		stays(false, false, false, false, false, true, true, true, false, false, true, true, true, true, true)
	})
}

func TestTurbocacheKeepsOneAnswerOfAKey(t *testing.T) {
	c, p := newTurbocache(""), cacheAnswer(t, 200, "Cache-Control: max-age=60")
	cacheFill(t, c, "http://a.example/1")
	_, _, first := cacheLookup(c, http.MethodGet, "http://a.example/")
	_, _, second := cacheLookup(c, http.MethodGet, "http://a.example/")
	cacheReply(c, first, p, "first")
	cacheReply(c, second, p, "second")
	hit, ok, _ := cacheLookup(c, http.MethodGet, "http://a.example/")
	require.True(t, ok)
	require.Equal(t, "second", string(hit.entry.body))
	cacheFill(t, c, "http://a.example/2", "http://a.example/3", "http://a.example/4", "http://a.example/5",
		"http://a.example/6", "http://a.example/7")
	requireCached(t, c, true, "http://a.example/1")
}

func TestTurbocacheCountsTimeFromTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTurbocache("")
		for _, url := range []string{"http://a.example/quick", "http://a.example/slow"} {
			_, _, k := cacheLookup(c, http.MethodGet, url)
			require.True(t, c.permits(k, cacheAnswer(t, 200, "Cache-Control: max-age=60")))
			time.Sleep(30 * time.Second)
			if url == "http://a.example/slow" {
				time.Sleep(30 * time.Second)
			}

			c.store(k, nil)
		}

		require.Equal(t, TurbocacheStats{Fetches: 2, Stores: 2, StoreSuccesses: 1}, c.stats())
	})
}
