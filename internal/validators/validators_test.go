package validators_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/validators"
)

// No list of ranges costs more bytes than the file has.
func TestRangesTakeNoMoreThanTheWhole(t *testing.T) {
	const size = 100_000

	many := func(spec string, count int) string { return "bytes=" + strings.Repeat(spec+",", count-1) + spec }
	for asked, status := range map[string]int{
		"":                                      200,
		"bytes=0-0":                             206,
		"bytes=99999999999999999999-":           416,
		"bytes=-5":                              206,
		"bytes=0-1,5-6":                         206,
		"bytes=0-,0-":                           200,
		"bytes=0-,-1":                           200,
		"bytes=-99999,0-50":                     200,
		"bytes=0-49999,50000-":                  200, // with what stands between them
		"bytes=0-49999,60000-":                  206,
		many("0-0", 16):                         206,
		many("0-0", 17):                         416,
		many("0-", 600):                         416,
		many("0-99999", 16):                     200,
		"bytes=" + strings.Repeat(",", 100_000): 416,
		"bytes=0-1,x":                           416,
		"bytes=5-1,0-1":                         416,
		"lines=1,2":                             200, // a unit that is not understood is ignored
		"lines=1-2":                             200,
		"bytes":                                 200,
		"bytes=-0":                              416,
		"bytes= -00 ,-0":                        416,
		"bytes=-0,5-9":                          206,
		many("200000-", 3):                      416,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if asked != "" {
			r.Header.Set("Range", asked)
		}

		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, validators.BoundRanges(r, size), "", time.Time{},
			strings.NewReader(strings.Repeat("x", size)))
		name := fmt.Sprintf("%.40s", asked)
		require.Equal(t, status, w.Code, name)
		require.LessOrEqual(t, w.Body.Len(), size, name)
		require.NotContains(t, w.Header().Get("Content-Range")+w.Body.String(), "100000-99999", name)
		require.Equal(t, asked, r.Header.Get("Range"), "the request is not changed")
	}
}

// A Content-Range must name bytes that there are: net/http has "bytes 0--1/0" for the end of an empty file. Some
// clients write the greatest number that they have for the end of any file.
func TestRangesAtTheEdges(t *testing.T) {
	for _, test := range []struct {
		file, asked string
		status      int
		body, field string
	}{
		{"", "bytes=-1", 200, "", ""},
		{"", "bytes=-0", 200, "", ""},
		{"", "bytes=0-", 200, "", ""},
		{"", "bytes=0-0,-1", 200, "", ""},
		{"hello", "bytes=1-9223372036854775807", 206, "ello", "bytes 1-4/5"},
		{"hello", "bytes=1-9223372036854775808", 206, "ello", "bytes 1-4/5"},
		{"hello", "bytes=1-18446744073709551615", 206, "ello", "bytes 1-4/5"},
		{"hello", "bytes=-18446744073709551615", 206, "hello", "bytes 0-4/5"},
		{"hello", "bytes=00000000000000000000001-2", 206, "el", "bytes 1-2/5"},
		{"hello", "bytes=18446744073709551615-", 416, "", "bytes */5"},
		{"hello", "bytes=18446744073709551615-18446744073709551616", 416, "", "bytes */5"},
		{"hello", "bytes=0-1844674407370955161x", 416, "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", test.asked)

		w := httptest.NewRecorder()
		http.ServeContent(w, validators.BoundRanges(r, int64(len(test.file))), "", time.Time{},
			strings.NewReader(test.file))
		require.Equal(t, test.status, w.Code, test.asked)
		require.Equal(t, test.field, w.Header().Get("Content-Range"), test.asked)

		if test.status < 400 {
			require.Equal(t, test.body, w.Body.String(), test.asked)
		}
	}
}
