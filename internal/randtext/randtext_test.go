package randtext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/randtext"
)

func TestEachLetterAndDigitIsAsLikely(t *testing.T) {
	const each = 2000
	text := randtext.Alphanumeric(62 * each)
	require.Len(t, text, 62*each)

	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		// Ten standard deviations.
		require.InDelta(t, each, strings.Count(text, string(c)), 450, "%c", c)
	}

	require.Empty(t, randtext.Alphanumeric(0))
	one, other := randtext.Alphanumeric(24), randtext.Alphanumeric(24)
	require.NotEqual(t, one, other)
}
