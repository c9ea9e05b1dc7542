package terminal

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseKeys(t *testing.T) {
	for sent, want := range map[string][]Key{
		"":              nil,
		"jk":            {'j', 'k'},
		"\x1b":          {Leave},
		"\x1b[A\x1bOB":  {Up, Down},
		"\x1b[":         {other},
		"\x1b[1;5A":     {other},
		"\x1b[200~a":    {other, 'a'},
		"\x1bq":         {Leave, 'q'},
		"\r\x04":        {Enter, Leave},
		"\x1b[H\x1b[4~": {Home, End},
	} {
		require.Equal(t, want, parseKeys(sent), "%q", sent)
	}
}

// FuzzParseKeys and FuzzCut: whatever a terminal sends, and a server shows.
func FuzzParseKeys(f *testing.F) {
	f.Add("\x1b[A\x1b\x1b[1;")
	f.Fuzz(func(t *testing.T, s string) {
		require.LessOrEqual(t, len(parseKeys(s)), len(s))
	})
}

func FuzzCut(f *testing.F) {
	f.Add("\x1b[1mabc\x1b[0m", 2)
	f.Add("\x1b", 0)
	f.Fuzz(func(t *testing.T, s string, width int) {
		line := cut(s, width)
		require.LessOrEqual(t, len(line), len(s))
		if !strings.Contains(s, "\x1b") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, 0))
		}
	})
}
