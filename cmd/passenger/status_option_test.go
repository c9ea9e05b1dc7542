package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/options"
)

// A status needs no quotes in a file, and several may be a list.
func TestStatusesInFiles(t *testing.T) {
	o := findOption(options.Start, "health_status")
	require.NotNil(t, o)

	for _, test := range []struct {
		raw  any
		want string
	}{
		{"200-299,401", "200-299,401"},
		{float64(200), "200"},
		{[]any{float64(204), "300-399"}, "204,300-399"},
	} {
		got, err := o.Convert(test.raw, "")
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}

	for _, raw := range []any{true, []any{[]any{"200"}}, map[string]any{}} {
		_, err := o.Convert(raw, "")
		require.ErrorContains(t, err, "health_status must be a text such as 200-299,401")
	}
}
