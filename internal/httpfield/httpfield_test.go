package httpfield_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/httpfield"
)

func TestOnlyASCIILettersFold(t *testing.T) {
	require.True(t, httpfield.EqualFold("Keep-Alive", "kEEP-aLIVE"))
	require.False(t, httpfield.EqualFold("\u212aeep-alive", "keep-alive"), "the Kelvin sign is no k")
	require.False(t, httpfield.EqualFold("a", "ab"))
	require.False(t, httpfield.EqualFold("[", "{"))
	require.Equal(t, "X_\u017f_1", httpfield.Upper("x_\u017f_1"))

	for capital, small := range map[byte]byte{'A': 'a', 'Z': 'z', 'a': 'a', '@': '@', '[': '[', '0': '0'} {
		require.Equal(t, small, httpfield.Lower(capital))
	}
}

func TestTokenIsFoundInAnyValueAndCase(t *testing.T) {
	for list, want := range map[string]bool{
		"close":              true,
		"keep-alive,\tClose": true,
		", ,close ,":         true,
		"":                   false,
		"closed":             false,
		"not close":          false,
		`"close"`:            false,
	} {
		require.Equal(t, want, httpfield.HasToken([]string{"x", list}, "close"), "%q", list)
	}

	require.False(t, httpfield.HasToken(nil, "close"))
}

func TestPlainNamesHaveLettersDigitsAndDashes(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Real-IP": true,
		"b3":        true,
		"":          false,
		"x_y":       false,
		"x.y":       false,
		"x y":       false,
		"\u017f":    false,
	} {
		require.Equal(t, want, httpfield.IsPlain(name), "%q", name)
	}
}
