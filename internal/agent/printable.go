package agent

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// sgr are the sequences that set colours and the like, the only ones that an application
// may send to the terminal of whoever reads the log.
var sgr = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^\x1b\\[[0-9;:]{0,64}m") })

const resetSGR = "\x1b[0m"

// appendPrintable appends text without what would command a terminal, or reorder a line
// on it, which is escaped. With colours, they are kept, and end with the text.
func appendPrintable(b []byte, text string, colours bool) []byte {
	coloured := false
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			// Where a terminal takes bytes for characters, 0x9b begins a command.
			b = fmt.Appendf(b, `\x%02x`, text[0])
		case r == '\x1b' && colours:
			if found := sgr().FindString(text); found != "" {
				b, size, coloured = append(b, found...), len(found), true
			} else {
				b = append(b, `\x1b`...)
			}
		case r == '\t', unicode.IsGraphic(r), r == zeroWidthJoiner:
			b = append(b, text[:size]...)
		case r < utf8.RuneSelf:
			b = fmt.Appendf(b, `\x%02x`, r)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}

		text = text[size:]
	}

	// What follows in the log must not have the colour of an application that forgot to end it.
	if coloured && !strings.HasSuffix(string(b[max(0, len(b)-len(resetSGR)):]), resetSGR) {
		b = append(b, resetSGR...)
	}

	return b
}

// zeroWidthJoiner makes one of several emojis.
const zeroWidthJoiner = '\u200d'
