package printable_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/printable"
)

func TestOnlyPrintableCharactersAreKept(t *testing.T) {
	for _, test := range []struct{ text, line, lines string }{
		{"plain é 世界", "plain é 世界", "plain é 世界"},
		{"two\n\tlines", "two??lines", "two\n\tlines"},
		{"\x1b[31mred\r\x00\x7f", "?[31mred???", "?[31mred???"},
		{"\u202egpj.exe\u2028", "?gpj.exe?", "?gpj.exe?"},
		{"\xff", "\ufffd", "\ufffd"},
	} {
		require.Equal(t, test.line, printable.Line(test.text), "%q", test.text)
		require.Equal(t, test.lines, printable.Text(test.text), "%q", test.text)
	}
}
