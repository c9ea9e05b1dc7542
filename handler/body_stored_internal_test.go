package handler

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A body of up to a megabyte needs no file while there is room for it in memory, and one that needs
// a file anyway takes no more memory than a small one.
func TestBodiesThatAreKeptInMemory(t *testing.T) {
	const unknown = -1

	// No two pieces of it are the same.
	content := make([]byte, maxLargeMemory)
	for i := range content {
		content[i] = byte(i % 251)
	}

	for name, row := range map[string]struct {
		length int64
		limit  int64
		want   int
	}{
		"a small one":                {100, maxAllLarge, 4 << 10},
		"a megabyte":                 {maxLargeMemory, maxAllLarge, maxLargeMemory},
		"more than that":             {maxLargeMemory + 1, maxAllLarge, maxMemory},
		"one without a length":       {unknown, maxAllLarge, maxLargeMemory},
		"no room":                    {maxLargeMemory, 0, maxMemory},
		"room for half of it":        {maxLargeMemory, 600 << 10, 256 << 10},
		"room but for the last step": {unknown, maxLargeMemory - 1, 512 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			limit := largeMemory.limit
			largeMemory.limit = func() int64 { return row.limit }
			t.Cleanup(func() { largeMemory.limit = limit })

			var b storedBody
			for {
				to := b.space(row.length)
				if to == nil {
					break
				}

				b.inMem += copy(to, content[b.inMem:])
				require.LessOrEqual(t, largeMemory.used.Load(), row.limit)
				if row.length >= 0 && int64(b.inMem) >= row.length {
					break
				}
			}

			require.Equal(t, row.want, b.inMem)
			require.NoError(t, b.spill(t.TempDir(), []byte("the rest")))

			// There may be room again, but the order counts.
			largeMemory.limit = func() int64 { return maxAllLarge }
			require.Nil(t, b.space(row.length))

			var out bytes.Buffer
			_, err := b.WriteTo(&out)
			require.NoError(t, err)
			require.True(t, bytes.Equal(slices.Concat(content[:row.want], []byte("the rest")), out.Bytes()))
			b.close()
			require.Zero(t, largeMemory.used.Load(), "all of it is given back")
		})
	}
}

// Small machines give less.
func TestMemoryForLargeBodiesDependsOnTheMachine(t *testing.T) {
	require.Positive(t, largeMemory.limit())
	require.LessOrEqual(t, largeMemory.limit(), int64(maxAllLarge))
}
