package redact

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// terminalCommand is an escape sequence of terminals: colours, movements of
// the cursor, links and titles, character sets.
var terminalCommand = lazy(`^\x1b(?:` +
	`\[[0-?]*[ -/]*[@-~]` +
	`|\][^\x00-\x1f\x7f]*(?:\x07|\x1b\\)` +
	`|[ -/]+[0-~])`)

// clean makes foreign text readable and harmless: commands to terminals are
// left out, other control characters and those that change the direction of
// text are made visible, and invalid UTF-8 is replaced.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))

	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '\x1b':
			if n := len(terminalCommand().FindString(s)); n > 0 {
				s = s[n:]
				continue
			}

			b.WriteString(`\x1b`)
		case r == '\n', r == '\t':
			b.WriteRune(r)
		case r == '\r' && strings.HasPrefix(s, "\r\n"):
		case unicode.Is(unicode.Cc, r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case invisible(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r) // that of invalid bytes is U+FFFD
		}

		s = s[size:]
	}

	return b.String()
}

// invisible characters are those that a reader could be deceived with, or that
// HTML does not allow.
func invisible(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d' // of Persian, and of emojis
	return r != nonJoiner && r != joiner &&
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
}
