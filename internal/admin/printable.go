package admin

import (
	"regexp"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/printable"
)

// Printable keeps what comes from elsewhere from commanding the terminal.
func Printable(s string) string { return printable.Line(s) }

// PrintableText is Printable for several lines.
func PrintableText(s string) string { return printable.Text(s) }

var colour = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]{0,20}m") })

// ColouredText is PrintableText that lets colours through.
func ColouredText(s string) string {
	var b strings.Builder

	at := 0
	for _, found := range colour().FindAllStringIndex(s, -1) {
		b.WriteString(PrintableText(s[at:found[0]]))
		b.WriteString(s[found[0]:found[1]])
		at = found[1]
	}

	b.WriteString(PrintableText(s[at:]))

	return b.String()
}
