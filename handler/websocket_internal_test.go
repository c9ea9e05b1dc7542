package handler

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The boundaries are the same ones however the bytes come.
func TestFramesFindTheirBoundaries(t *testing.T) {
	t.Parallel()

	stream := []string{
		"\x81\x02hi",
		"\x01\x00", "\x89\x00", "\x80\x80mask",
		"\x82\x85maskfives",
		"\x82\x7e\x00\x7e" + strings.Repeat("x", 126),
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("x", 1<<16),
		"\x88\x02\x03\xf4",
	}
	whole := strings.Join(stream, "")

	for _, step := range []int{1, 2, 3, 7, 1000, len(whole)} {
		var f frames

		var found []int
		for at := 0; at < len(whole); {
			end := min(at+step, len(whole))
			for at < end {
				at += f.next([]byte(whole[at:end]))
				if f.atBoundary() {
					found = append(found, at)
				}
			}
		}

		want := make([]int, 0, len(stream))

		at := 0
		for _, frame := range stream {
			at += len(frame)
			want = append(want, at)
		}

		require.Equal(t, want, found, "in steps of %d bytes", step)
	}
}

// The fields of a frame are an application's and a client's: none makes more of them than there is.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffx"), []byte("rest"))
	f.Add([]byte("\x81"), []byte("\x02hi"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var f frames
		for _, b := range [][]byte{first, second} {
			for len(b) > 0 {
				n := f.next(b)
				if n < 1 || n > len(b) {
					t.Fatalf("%d of %d bytes", n, len(b))
				}

				b = b[n:]
			}
		}
	})
}
