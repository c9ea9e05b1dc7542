package handler

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTurbocacheIsCoherent(t *testing.T) {
	// Readers must not get what is older than the last write that is complete
	// when they ask, whoever stores what in between.
	const url = "http://a.example/"
	c, p := newTurbocache(""), cacheAnswer(t, 200, "Cache-Control: max-age=60")
	var version, written atomic.Int64
	var done atomic.Bool

	var writers, readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				least := written.Load()
				hit, ok, k := cacheLookup(c, http.MethodGet, url)
				if !ok {
					cacheReply(c, k, p, strconv.FormatInt(version.Load(), 10))
					continue
				}

				if got, err := strconv.ParseInt(string(hit.entry.body), 10, 64); err != nil || got < least {
					t.Errorf("got %q after version %d was written", hit.entry.body, least)
					return
				}
			}
		})
	}

	writers.Go(func() {
		for range 2000 {
			_, _, k := cacheLookup(c, http.MethodPut, url)
			v := version.Add(1)
			c.invalidate(k, nil)
			written.Store(v)
			cacheLookup(c, http.MethodGet, url)
		}
	})
	writers.Go(func() {
		for i := range 2000 {
			_, _, k := cacheLookup(c, http.MethodGet, url+strconv.Itoa(i))
			cacheReply(c, k, p, "other")
			c.stats()
		}
	})
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func TestTurbocacheLookupsDoNotAllocate(t *testing.T) {
	c := newTurbocache("lang")
	_, _, k := cacheLookup(c, http.MethodGet, "http://a.example/", browserHeader...)
	cacheReply(c, k, cacheAnswer(t, 200, "Cache-Control: max-age=60"), "body")

	for uri, want := range map[string]bool{"/": true, "/a": false} {
		r, target := cacheRequest(http.MethodGet, "http://a.example"+uri, browserHeader...)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			var k cacheTicket
			if _, hit := c.lookup(&k, r, target, "http", seenRequest{knowsClient: true}); hit != want {
				panic(uri)
			}
		}), uri)
	}
}

var browserHeader = []string{
	"Accept: text/html", "Accept-Encoding: gzip, br", "Accept-Language: en", "Connection: keep-alive",
	"Cookie: _session=" + strings.Repeat("0", 64) + "; a=b", "Sec-Fetch-Mode: navigate", "User-Agent: Mozilla/5.0",
	"X-Forwarded-For: 192.0.2.1",
}

func BenchmarkTurbocacheLookup(b *testing.B) {
	for _, row := range []struct {
		name, cookie, uri string
		header            []string
	}{
		{"hit", "", "/", nil},
		{"miss", "", "/a", nil},
		{"hit/browser", "", "/", browserHeader},
		{"miss/browser", "", "/a", browserHeader},
		{"hit/cookie", "lang", "/", browserHeader},
		{"miss/cookie", "lang", "/a", browserHeader},
		{"unqualified", "", "/", append([]string{"Authorization: x"}, browserHeader...)},
	} {
		b.Run(row.name, func(b *testing.B) {
			c := newTurbocache(row.cookie)
			for i := range cacheEntries - 1 {
				cacheFill(b, c, "http://a.example/other/"+strconv.Itoa(i))
			}

			_, _, k := cacheLookup(c, http.MethodGet, "http://a.example/", row.header...)
			cacheReply(c, k, cacheAnswer(b, 200, "Cache-Control: max-age=60"), "body")
			r, t := cacheRequest(http.MethodGet, "http://a.example"+row.uri, row.header...)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var k cacheTicket
				for pb.Next() {
					c.regulator.off.Store(false) // the misses would switch it off
					c.lookup(&k, r, t, "http", seenRequest{knowsClient: true})
				}
			})
		})
	}
}

func BenchmarkTurbocacheHeader(b *testing.B) {
	c := newTurbocache("")
	cacheGet(b, c, "http://a.example/", cacheAnswer(b, 200, "Cache-Control: max-age=60", "Content-Type: text/html",
		"ETag: x", "X-Frame-Options: DENY"), strings.Repeat("x", 1000))
	hit, _, _ := cacheLookup(c, http.MethodGet, "http://a.example/")
	h := http.Header{}
	b.ReportAllocs()

	for b.Loop() {
		clear(h)
		hit.copyHeader(h)
	}
}
