package handler

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/handler/turbocache"
)

// lookup asks the cache for the response to a request without a header.
func lookup(c *turbocache.Cache, t *turbocache.Ticket, method string) (turbocache.Hit, bool) {
	return c.Lookup(t, &turbocache.Request{
		Method: method,
		Scheme: "http",
		Host:   "a.example",
		URI:    "/",
		Header: http.Header{},
	})
}

// head returns a response in chunks, from the lines of its header.
func head(t testing.TB, status int, lines ...string) *response {
	t.Helper()
	var p response
	require.NoError(t, p.parse(fmt.Sprintf("HTTP/1.1 %d X\r\n%s\r\n\r\n", status, strings.Join(lines, "\r\n"))))
	p.length, p.chunked = -1, true

	return &p
}

// store fills an empty cache with a response.
func store(t testing.TB, p *response, body []byte) *turbocache.Cache {
	t.Helper()

	c := turbocache.New("")
	var ticket turbocache.Ticket
	_, ok := lookup(c, &ticket, http.MethodGet)
	require.False(t, ok)

	cacheable := p.forCache()
	require.True(t, c.Permits(&ticket, &cacheable, p.copyHeader))

	for _, values := range p.header {
		values[0] = "changed"
	}

	clear(p.header)
	c.Store(&ticket, body)

	return c
}

func TestCachedResponseIsTheApplications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := []byte("body")
		c := store(t, head(t, 404, "Cache-Control: max-age=60", "Age: 7", "content-type: text/x", "X-Two: 1",
			"x-two: 2",
			"Content-Length: 99", "Status: 404 X", "!~Request-OOB-Work: 1", "Connection: X-Hop", "X-Hop: 1",
			"Keep-Alive: 1"), body)
		body[0] = 'X'
		time.Sleep(2500 * time.Millisecond)

		for range 2 { // the second one after the client of the first has changed its header
			for method, body := range map[string]string{"GET": "body", "HEAD": ""} {
				var ticket turbocache.Ticket
				hit, ok := lookup(c, &ticket, method)
				require.True(t, ok)
				require.Equal(t, 404, hit.Status)
				require.Equal(t, body, string(hit.Body))

				h := http.Header{"X-Server": {"own"}}
				copyHit(h, &hit)
				require.Equal(t, http.Header{
					"Age": {"9"}, "Cache-Control": {"max-age=60"}, "Content-Length": {"4"}, "Content-Type": {"text/x"},
					"Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}, "X-Server": {"own"}, "X-Two": {"1", "2"},
				}, h)

				for name, values := range h {
					values[0] = "changed"
					h.Add(name, "added")
				}

				for _, values := range h {
					require.Equal(t, "changed", values[0])
				}
			}
		}
	})
}

func TestCachedResponseWithoutContent(t *testing.T) {
	c := store(t, head(t, 204, "Cache-Control: max-age=60", "Date: Sat, 01 Jan 2050 00:00:00 GMT"), nil)
	var ticket turbocache.Ticket
	hit, _ := lookup(c, &ticket, http.MethodGet)
	h := http.Header{}
	copyHit(h, &hit)
	require.Equal(t, http.Header{
		"Age": {"0"}, "Cache-Control": {"max-age=60"}, "Content-Type": nil,
		"Date": {"Sat, 01 Jan 2050 00:00:00 GMT"},
	}, h)
}

func BenchmarkCachedHeader(b *testing.B) {
	c := store(b, head(b, 200, "Cache-Control: max-age=60", "Content-Type: text/html", "ETag: x",
		"X-Frame-Options: DENY"), []byte(strings.Repeat("x", 1000)))
	var ticket turbocache.Ticket
	hit, _ := lookup(c, &ticket, http.MethodGet)
	h := http.Header{}
	b.ReportAllocs()

	for b.Loop() {
		clear(h)
		copyHit(h, &hit)
	}
}
