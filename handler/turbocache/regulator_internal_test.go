package turbocache

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCacheIsOffWhereItIsOfNoUse(t *testing.T) {
	const url = "http://a.example/"
	for _, row := range []struct {
		hits, misses int // of lookups
		kept, lost   int // responses to further lookups
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
			c := New("")
			fill(t, c, url)
			time.Sleep(window)

			for range row.hits {
				requireCached(t, c, true, url)
			}

			for i := range row.misses {
				requireCached(t, c, false, url+strconv.Itoa(i))
			}

			for i := range row.kept {
				fill(t, c, url+"kept"+strconv.Itoa(i))
			}

			for i := range row.lost {
				get(t, c, url+"lost"+strconv.Itoa(i), newResponse(200, "Cache-Control: max-age=60"),
					strings.Repeat("x", maxBody+1))
			}

			on := func() bool { return c.regulator.on(c.now()) }
			time.Sleep(window - time.Nanosecond)
			require.True(t, on(), row)
			time.Sleep(time.Nanosecond)
			require.Equal(t, !row.off, on(), row)
			time.Sleep(timeOff - time.Nanosecond)
			require.Equal(t, !row.off, on(), row)
			time.Sleep(time.Nanosecond)
			require.True(t, on(), row)
			time.Sleep(window)
			require.True(t, on(), row)
		})
	}
}

func TestCacheJudgesEachWindowByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New("")
		for range 10 {
			for i := range minSample - 1 {
				requireCached(t, c, false, "http://a.example/"+strconv.Itoa(i))
			}

			time.Sleep(window)
		}

		require.Equal(t, Stats{Fetches: 190}, c.Stats())

		for i := range minSample {
			requireCached(t, c, false, "http://a.example/"+strconv.Itoa(i))
		}

		time.Sleep(window + timeOff) // without a request that could notice
		fill(t, c, "http://a.example/")
		requireCached(t, c, true, "http://a.example/")
	})
}

func TestCacheThatIsOffStoresNothingAndStillForgets(t *testing.T) {
	const kept, doubtful, other, late = "http://a.example/kept", "http://a.example/doubtful", "http://a.example/other",
		"http://a.example/late"
	synctest.Test(t, func(t *testing.T) {
		c, p := New(""), newResponse(200, "Cache-Control: max-age=60")
		fill(t, c, kept, doubtful)

		_, _, before := lookup(c, http.MethodGet, late)
		for range minSample {
			requireCached(t, c, false, other)
		}

		time.Sleep(window)
		stats := c.Stats()

		requireCached(t, c, false, kept)
		_, _, k := lookup(c, http.MethodGet, other)
		reply(c, k, p, "body")
		require.Equal(t, stats, c.Stats())
		reply(c, before, p, "body")
		_, _, k = lookup(c, http.MethodPost, doubtful)
		reply(c, k, p, "")

		time.Sleep(timeOff)
		requireCached(t, c, true, kept)
		requireCached(t, c, false, doubtful)
		requireCached(t, c, false, other)
		requireCached(t, c, false, late)
	})
}
