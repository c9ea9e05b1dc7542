package ustrouter

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTraceContext(t *testing.T) {
	const traceID, parentID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

	const short = "-" + traceID + "-" + parentID + "-01"
	for name, test := range map[string]struct {
		values []string
		want   string
	}{
		"none":    {nil, ""},
		"sampled": {[]string{sampledParent}, sampledParent},
		"not sampled": {[]string{"00-" + traceID + "-" + parentID + "-00"}, "00-" + traceID + "-" + parentID +
			"-00"},
		"a later version":   {[]string{"01" + short}, "01" + short},
		"with additions":    {[]string{"01" + short + "-more"}, "01" + short},
		"glued additions":   {[]string{"01" + short + "more"}, ""},
		"too long":          {[]string{"00" + short + "-more"}, ""},
		"no version":        {[]string{"ff" + short}, ""},
		"twice":             {[]string{sampledParent, sampledParent}, ""},
		"empty":             {[]string{""}, ""},
		"capitals":          {[]string{"00-0AF7651916cd43dd8448eb211c80319c-" + parentID + "-01"}, ""},
		"no trace":          {[]string{"00-00000000000000000000000000000000-" + parentID + "-01"}, ""},
		"no parent":         {[]string{"00-" + traceID + "-0000000000000000-01"}, ""},
		"no flags":          {[]string{"00-" + traceID + "-" + parentID + "-xx"}, ""},
		"other separators":  {[]string{"00_" + traceID + "-" + parentID + "-01"}, ""},
		"other separators2": {[]string{"00-" + traceID + "_" + parentID + "-01"}, ""},
		"other separators3": {[]string{"00-" + traceID + "-" + parentID + "_01"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header[traceparentHeader] = test.values
			got := "not called"
			TraceContext(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = traceparentOf(r.Context())
			})).ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, test.want, got)
		})
	}
}

// FuzzTraceparent: whatever is taken is made of valid ids.
func FuzzTraceparent(f *testing.F) {
	got, ok := parseTraceparent(sampledParent)
	require.True(f, ok)
	require.Equal(f, traceparent{"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"}, got)
	f.Add(sampledParent)
	f.Add("01" + sampledParent[2:] + "-more")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseTraceparent(s)
		if !ok {
			require.False(t, isID(got.traceID) && isID(got.parentID))
			return
		}

		require.True(t, isID(got.traceID) && isID(got.parentID))
		require.Equal(t, [2]int{32, 16}, [2]int{len(got.traceID), len(got.parentID)})
		kept, ok := parseTraceparent(s[:traceparentLength])
		require.True(t, ok)
		require.Equal(t, got, kept)
	})
}
