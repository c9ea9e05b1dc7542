package admin

import (
	"regexp"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/terminal"
)

// Printable keeps what comes from elsewhere from commanding the terminal.
func Printable(s string) string { return printable.Line(s) }

// PrintableText is Printable for several lines.
func PrintableText(s string) string { return printable.Text(s) }

var colour = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]{0,20}m") })

// ColouredText is PrintableText that lets colours through, each up to the end of its line: an application must not
// colour, or hide, what others print behind it.
func ColouredText(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		text, end := strings.CutSuffix(line, "\n")
		writeColoured(&b, text)
		if end {
			b.WriteByte('\n')
		}
	}

	return b.String()
}

func writeColoured(b *strings.Builder, s string) {
	last := terminal.Reset

	at := 0
	for _, found := range colour().FindAllStringIndex(s, -1) {
		b.WriteString(PrintableText(s[at:found[0]]))
		last = s[found[0]:found[1]]
		b.WriteString(last)
		at = found[1]
	}

	b.WriteString(PrintableText(s[at:]))
	if last != terminal.Reset {
		b.WriteString(terminal.Reset)
	}
}
