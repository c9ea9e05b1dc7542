package turbocache

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheIsCoherent(t *testing.T) {
	// Readers must not get what is older than the last write that is complete
	// when they ask, whoever stores what in between.
	const url = "http://a.example/"
	c, p := New(""), newResponse(200, "Cache-Control: max-age=60")
	var version, written atomic.Int64
	var done atomic.Bool

	var writers, readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				least := written.Load()
				hit, ok, k := lookup(c, http.MethodGet, url)
				if !ok {
					reply(c, k, p, strconv.FormatInt(version.Load(), 10))
					continue
				}

				if got, err := strconv.ParseInt(string(hit.Body), 10, 64); err != nil || got < least {
					t.Errorf("got %q after version %d was written", hit.Body, least)
					return
				}
			}
		})
	}

	writers.Go(func() {
		for range 2000 {
			_, _, k := lookup(c, http.MethodPut, url)
			v := version.Add(1)
			c.Invalidate(k, nil)
			written.Store(v)
			lookup(c, http.MethodGet, url)
		}
	})
	writers.Go(func() {
		for i := range 2000 {
			_, _, k := lookup(c, http.MethodGet, url+strconv.Itoa(i))
			reply(c, k, p, "other")
			c.Stats()
		}
	})
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func TestLookupsDoNotAllocate(t *testing.T) {
	c := New("lang")
	_, _, k := lookup(c, http.MethodGet, "http://a.example/", browserHeader...)
	reply(c, k, newResponse(200, "Cache-Control: max-age=60"), "body")

	for uri, want := range map[string]bool{"/": true, "/a": false} {
		r := newRequest(http.MethodGet, "http://a.example"+uri, browserHeader...)
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			var k Ticket
			if _, hit := c.Lookup(&k, r); hit != want {
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

func BenchmarkLookup(b *testing.B) {
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
			c := New(row.cookie)
			for i := range maxEntries - 1 {
				fill(b, c, "http://a.example/other/"+strconv.Itoa(i))
			}

			_, _, k := lookup(c, http.MethodGet, "http://a.example/", row.header...)
			reply(c, k, newResponse(200, "Cache-Control: max-age=60"), "body")
			r := newRequest(http.MethodGet, "http://a.example"+row.uri, row.header...)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var k Ticket
				for pb.Next() {
					c.regulator.off.Store(false) // the misses would switch it off
					c.Lookup(&k, r)
				}
			})
		})
	}
}
