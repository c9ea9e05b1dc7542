package printable_test

import (
	"strings"
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

func TestJSONMeansTheSameWithPrintableCharactersOnly(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": "plain é 世界 \\ \" \u001b"}`:     `{"a": "plain é 世界 \\ \" \u001b"}`,
		"{\n\t\"\u0080\": \"\u009b31m\"}":      "{\n\t\"\\u0080\": \"\\u009b31m\"}",
		"[\"\x7f\u2028\u202e\u2066\ufeffx\"]":  `["\u007f\u2028\u202e\u2066\ufeffx"]`,
		"[\"\U000e0041\U0001f600\"]":           "[\"\\udb40\\udc41\U0001f600\"]",
		"[\"\u200d\u00a0\"]":                   `["\u200d\u00a0"]`,
		`{"app": "shop", "n": [1, 2.5, null]}`: `{"app": "shop", "n": [1, 2.5, null]}`,
		"":                                     "",
	} {
		got := string(printable.JSON([]byte(text)))
		require.Equal(t, want, got)

		if text != "" {
			require.JSONEq(t, text, got)
		}

		var b strings.Builder
		n, err := printable.JSONWriter(&b).Write([]byte(text))
		require.NoError(t, err)
		require.Len(t, text, n)
		require.Equal(t, want, b.String())
	}
}

func TestTextWriter(t *testing.T) {
	var b strings.Builder
	const text = "one\n\ttwo \x1b[31m\u009b\n"
	n, err := printable.TextWriter(&b).Write([]byte(text))
	require.NoError(t, err)
	require.Len(t, text, n)
	require.Equal(t, "one\n\ttwo ?[31m?\n", b.String())
}
