package redact

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestCleanText(t *testing.T) {
	for dirty, want := range map[string]string{
		"":                        "",
		"plain\ttext\nné 世界 👩‍💻":  "plain\ttext\nné 世界 👩‍💻",
		"\x1b[1;31mred\x1b[0m":    "red",
		"\x1b[38:2::1:2:3mrgb":    "rgb",
		"\x1b[2K\x1b[1Gnpm":       "npm",
		"\x1b(Bcharset":           "charset",
		"\x1b]0;title\x07text":    "text",
		"\x1b]8;;http://x\x1b\\l": "l",
		"\x1b]0;no end\nline":     "\\x1b]0;no end\nline",
		"\x1b":                    `\x1b`,
		"\x1b[":                   `\x1b[`,
		"\x1b\x1b[31mx":           `\x1bx`,
		"\x1bc":                   `\x1bc`,
		"one\r\ntwo":              "one\ntwo",
		"10%\r20%":                `10%\x0d20%`,
		"\x00\x07\x7f\u0085":      `\x00\x07\x7f\x85`,
		"\xff\xfea\xc3":           "\ufffd\ufffda\ufffd",
		"\u202egpj.exe":           `\u{202e}gpj.exe`,
		"\ufeff\u2028\U000e0041":  `\u{feff}\u{2028}\u{e0041}`,
		"\uffff\ufdd0":            `\u{ffff}\u{fdd0}`,
		"بسم می\u200cخواهم":       "بسم می\u200cخواهم",
	} {
		require.Equal(t, want, clean(dirty), "%q", dirty)
	}
}

func FuzzCleanText(f *testing.F) {
	for _, seed := range []string{
		"", "text", "\x1b[31mred\x1b[0m", "\x1b]8;;x\x07", "\x1b\x1b[m[m", "\r\n\r", "\xff\xc3\x28", "\u202e\u2066",
		"\x00", "\x1b]" + strings.Repeat("x", 5000) + "\a",
	} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, dirty string) {
		shown := clean(dirty)
		require.True(t, utf8.ValidString(shown))

		for _, r := range shown {
			ok := r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d' ||
				!unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp,
					unicode.Noncharacter_Code_Point)
			require.True(t, ok, "%q in %q", r, shown)
		}

		require.Equal(t, shown, clean(shown))
		if !strings.ContainsFunc(dirty, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			require.Equal(t, dirty, shown)
		}
	})
}

// Secrets are hidden in what the application prints, too.
func TestSecretsInTexts(t *testing.T) {
	r := New([]string{
		"TOKEN=abcdef", "LONG_TOKEN=abcdefghi", "SHORT_TOKEN=yes", "HTML_TOKEN=<a&b'c>", "COLOUR_TOKEN=red\x1b[0mgreen",
		"CACHE=redis://:battery@cache", "DATABASE_URL=postgres://shop:staple@db", "PLAIN=visible",
	})
	for text, shown := range map[string]string{
		"abcdef abcdefghi abc yes":             Hidden + " " + Hidden + " abc yes",
		"<a&b'c> &lt;a&amp;b&#39;c&gt;":        Hidden + " " + Hidden,
		"redgreen \x1b[31mabc\x1b[0mdef":       Hidden + " " + Hidden,
		"password battery, password staple":    "password " + Hidden + ", password " + Hidden,
		"connecting to ftp://me:other@host:21": "connecting to ftp://me:" + Hidden + "@host:21",
		"visible http://localhost:3000/@vite":  "visible http://localhost:3000/@vite",
	} {
		require.Equal(t, shown, r.Text(text))
	}
}
