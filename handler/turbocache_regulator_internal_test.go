package handler

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTurbocacheIsOffWhereItIsInVain(t *testing.T) {
	const url = "http://a.example/"
	for _, row := range []struct {
		hits, misses int // of lookups
		kept, lost   int // answers to further lookups
		off          bool
	}{
		{0, 0, 0, 0, false},
		{0, 19, 0, 0, false},
		{0, 20, 0, 0, true},
		{9, 11, 0, 0, true},
		{10, 10, 0, 0, false},
		{20, 20, 0, 0, false},
		{20, 21, 0, 0, true},
		{20, 0, 20, 0, false},
		{19, 0, 0, 19, false},
		{20, 0, 0, 20, true},
		{20, 0, 10, 10, false},
		{20, 0, 9, 11, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newTurbocache("")
			cacheFill(t, c, url)
			time.Sleep(cacheWindow)

			for range row.hits {
				requireCached(t, c, true, url)
			}

			for i := range row.misses {
				requireCached(t, c, false, url+strconv.Itoa(i))
			}

			for i := range row.kept {
				cacheFill(t, c, url+"kept"+strconv.Itoa(i))
			}

			for i := range row.lost {
				cacheGet(t, c, url+"lost"+strconv.Itoa(i), cacheAnswer(t, 200, "Cache-Control: max-age=60"),
					strings.Repeat("x", maxCachedBody+1))
			}

			on := func() bool { return c.regulator.on(c.now()) }
			time.Sleep(cacheWindow - time.Nanosecond)
			require.True(t, on(), row)
			time.Sleep(time.Nanosecond)
			require.Equal(t, !row.off, on(), row)
			time.Sleep(cacheTimeOff - time.Nanosecond)
			require.Equal(t, !row.off, on(), row)
			time.Sleep(time.Nanosecond)
			require.True(t, on(), row)
			time.Sleep(cacheWindow)
			require.True(t, on(), row)
		})
	}
}

func TestTurbocacheCountsEachWindowAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTurbocache("")
		for range 10 {
			for i := range cacheSample - 1 {
				requireCached(t, c, false, "http://a.example/"+strconv.Itoa(i))
			}

			time.Sleep(cacheWindow)
		}

		require.Equal(t, TurbocacheStats{Fetches: 190}, c.stats())

		for i := range cacheSample {
			requireCached(t, c, false, "http://a.example/"+strconv.Itoa(i))
		}

		time.Sleep(cacheWindow + cacheTimeOff) // without a request that could notice
		cacheFill(t, c, "http://a.example/")
		requireCached(t, c, true, "http://a.example/")
	})
}

func TestTurbocacheThatIsOff(t *testing.T) {
	const kept, doubtful, other, late = "http://a.example/kept", "http://a.example/doubtful", "http://a.example/other",
		"http://a.example/late"
	synctest.Test(t, func(t *testing.T) {
		c, p := newTurbocache(""), cacheAnswer(t, 200, "Cache-Control: max-age=60")
		cacheFill(t, c, kept, doubtful)

		_, _, before := cacheLookup(c, http.MethodGet, late)
		for range cacheSample {
			requireCached(t, c, false, other)
		}

		time.Sleep(cacheWindow)
		stats := c.stats()

		requireCached(t, c, false, kept)
		_, _, k := cacheLookup(c, http.MethodGet, other)
		cacheReply(c, k, p, "body")
		require.Equal(t, stats, c.stats())
		cacheReply(c, before, p, "body")
		_, _, k = cacheLookup(c, http.MethodPost, doubtful)
		cacheReply(c, k, p, "")

		time.Sleep(cacheTimeOff)
		requireCached(t, c, true, kept)
		requireCached(t, c, false, doubtful)
		requireCached(t, c, false, other)
		requireCached(t, c, false, late)
	})
}
