package ustrouter

import (
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

func TestTheTraceContextOfATrustedClientIsContinuedIfItIsValid(t *testing.T) {
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
			e := &passenger.RequestEvent{Header: textproto.MIMEHeader{}, TrustedPeer: true}
			e.Header[traceparentHeader] = test.values
			p := placeOf((&Observer{}).RequestBegan(t.Context(), e))

			own, ok := parseTraceparent(p.traceparent)
			require.True(t, ok)
			require.Equal(t, []string{p.traceparent}, e.AppHeader[traceparentHeader])
			_, removed := e.AppHeader[tracestateHeader]
			require.Equal(t, test.want == "", removed, "two traces are not mixed")

			if test.want == "" {
				require.Empty(t, p.parent)
				require.NotEqual(t, traceID, own.traceID)
				require.Zero(t, own.flags)

				return
			}

			require.Equal(t, traceID, own.traceID)
			require.Equal(t, parentID, p.parent)
			require.NotEqual(t, parentID, own.parentID)
			require.Equal(t, test.want[len(test.want)-2:], p.traceparent[flagsAt:], "the flags are the client's")
		})
	}
}

func TestTheTraceOfAClientThatIsNotTrustedIsLinked(t *testing.T) {
	o := &Observer{sampleRate: 1}
	for client, link := range map[string]string{
		"":                            "",
		"nonsense":                    "",
		otherParent:                   otherParent,
		"7f" + otherParent[2:] + "-x": "7f" + otherParent[2:],
	} {
		header := textproto.MIMEHeader{traceparentHeader: {client}, tracestateHeader: {"a=b"}}
		e := &passenger.RequestEvent{Header: header}
		p := placeOf(o.RequestBegan(t.Context(), e))
		require.Empty(t, p.parent)
		require.Equal(t, link, p.link)
		require.NotContains(t, p.traceparent, "4bf92f3577b34da6a3ce929d0e0e4736")
		require.Contains(t, e.AppHeader, tracestateHeader)
		require.Nil(t, e.AppHeader[tracestateHeader])
	}
}

func TestTheOptionSaysHowManyNewTracesAreSampled(t *testing.T) {
	for rate, want := range map[float64][2]int{0: {0, 0}, .5: {300, 700}, 1: {1000, 1000}} {
		o := &Observer{sampleRate: rate}
		sampled := 0

		for range 1000 {
			p := placeOf(o.RequestBegan(t.Context(), &passenger.RequestEvent{}))
			own, ok := parseTraceparent(p.traceparent)
			require.True(t, ok)
			sampled += int(own.flags)
		}

		require.GreaterOrEqual(t, sampled, want[0])
		require.LessOrEqual(t, sampled, want[1])
	}
}

// FuzzTraceparent: whatever is taken is made of valid ids.
func FuzzTraceparent(f *testing.F) {
	got, ok := parseTraceparent(sampledParent)
	require.True(f, ok)
	require.Equal(f, traceparent{"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", flagSampled}, got)
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
