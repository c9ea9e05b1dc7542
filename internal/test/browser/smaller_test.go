package browser

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// smaller returns a picture in its most frequent colours, which is a third of the size for a page.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)

	box, count := img.Bounds(), map[color.Color]int{}
	each := func(f func(x, y int, c color.Color)) {
		for y := box.Min.Y; y < box.Max.Y; y++ {
			for x := box.Min.X; x < box.Max.X; x++ {
				f(x, y, color.NRGBAModel.Convert(img.At(x, y)))
			}
		}
	}
	each(func(_, _ int, c color.Color) { count[c]++ })

	byCount := func(a, b color.Color) int { return cmp.Compare(count[b], count[a]) }
	colours := slices.SortedFunc(maps.Keys(count), byCount)
	out := image.NewPaletted(box, colours[:min(len(colours), 256)])
	places := map[color.Color]uint8{}
	each(func(x, y int, c color.Color) {
		at, known := places[c]
		if !known {
			at = uint8(out.Palette.Index(c))
			places[c] = at
		}

		out.SetColorIndex(x, y, at)
	})

	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out))

	return b.Bytes()
}
