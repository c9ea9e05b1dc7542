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

func TestManyRangesOfAFileAreRefused(t *testing.T) {
	const size = 10_000
	file := strings.Repeat("x", size)
	for n, status := range map[int]int{
		1: http.StatusPartialContent, validators.MaxRanges: http.StatusPartialContent,
		validators.MaxRanges + 1: http.StatusRequestedRangeNotSatisfiable, 600: http.StatusRequestedRangeNotSatisfiable,
	} {
		ranges := make([]string, n)
		for i := range ranges {
			ranges[i] = fmt.Sprintf("%d-%d", 2*i, 2*i)
		}
		r := httptest.NewRequest(http.MethodGet, "/file", nil)
		r.Header.Set("Range", "bytes="+strings.Join(ranges, ","))
		w := httptest.NewRecorder()
		http.ServeContent(w, validators.Exact(r, time.Unix(1, 0)), "file", time.Unix(1, 0), strings.NewReader(file))
		require.Equal(t, status, w.Code, "%d ranges", n)
		require.LessOrEqual(t, w.Body.Len(), size)
	}
}
