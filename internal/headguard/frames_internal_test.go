package headguard

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// testFrame is a frame of HTTP/2 with that many bytes of payload.
func testFrame(kind, flags byte, payload int) []byte {
	frame := make([]byte, frameHead+payload)
	copy(frame, []byte{byte(payload >> 16), byte(payload >> 8), byte(payload), kind, flags, 0, 0, 0, 1})

	return frame
}

const pingFrame = 6

// passing counts the PINGs that pass one after the other.
func (f *frames) passing() (n int) {
	ping := testFrame(pingFrame, 0, 8)
	for f.count(ping) {
		n++
	}

	// The frame that did not pass counts as if it had not come.
	f.left, f.credit = 0, 0

	return n
}

// What a connection may have comes back with requests, bodies in both directions, and time, and is not saved beyond the
// burst.
func TestCreditOfFrames(t *testing.T) {
	for name, test := range map[string]struct {
		frame   []byte
		written int64
		later   time.Duration
		want    int
	}{
		"nothing":                     {nil, 0, 0, 0},
		"a second":                    {nil, 0, time.Second, framesPerSecond},
		"an hour":                     {nil, 0, time.Hour, frameBurst},
		"a response of 100 KiB":       {nil, 100 << 10, 0, 100},
		"a request":                   {testFrame(headersFrame, 4, 20), 0, 0, framesPerRequest},
		"a body of 16 KiB":            {testFrame(dataFrame, 0, 16<<10), 0, 0, 16},
		"a padded body of 1 KiB":      {testFrame(dataFrame, paddedFlag, 1<<10), 0, 0, 1},
		"a body that may be padding":  {testFrame(dataFrame, paddedFlag, maxPadded), 0, time.Second, framesPerSecond - 1},
		"an empty body":               {testFrame(dataFrame, 0, 0), 0, time.Second, framesPerSecond - 1},
		"a window":                    {testFrame(8, 0, 4), 0, time.Second, framesPerSecond - 1},
		"a body that ends the stream": {testFrame(dataFrame, 1, 1<<10), 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var written atomic.Int64
				f := newFrames(&written)
				require.Equal(t, frameBurst, f.passing())

				written.Add(test.written)
				time.Sleep(test.later)
				require.True(t, f.count(test.frame))
				require.Equal(t, test.want, f.passing())
			})
		})
	}
}

// A frame may come in any pieces.
func TestFramesInPieces(t *testing.T) {
	raw := slices.Concat(testFrame(dataFrame, 0, 300), testFrame(pingFrame, 0, 8), testFrame(headersFrame, 4, 1))
	for size := 1; size <= len(raw); size++ {
		f := newFrames(new(atomic.Int64))
		f.credit = 1

		for rest := raw; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			require.True(t, f.count(rest[:min(size, len(rest))]))
		}

		require.Equal(t, int64(framesPerRequest), f.credit, "pieces of %d", size)
	}
}
