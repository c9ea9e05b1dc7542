package tools_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkStatus runs passenger-status, of an instance with n
// applications, from its start to its end.
func BenchmarkStatus(b *testing.B) {
	for _, test := range []struct {
		name string
		apps int
	}{{"1", 1}, {"1000", 1000}} {
		b.Run(test.name, func(b *testing.B) {
			h := newBox(b).open(b, many(test.apps)...)
			require.Equal(b, test.apps, strings.Count(h.run(b, "passenger-status").stdout, "App root: "))

			for b.Loop() {
				cmd := h.command(b.Context(), "passenger-status")
				cmd.Stdout = io.Discard
				require.NoError(b, cmd.Run())
			}
		})
	}
}
