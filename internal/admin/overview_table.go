package admin

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gopassenger/passenger/internal/terminal"
)

// TableStyle says how an overview is drawn.
type TableStyle struct {
	// Width is that of the terminal, in characters; less than 64 counts as 64.
	Width int
	// Colour reports whether to use escape sequences, Unicode whether trends may have blocks.
	Colour, Unicode bool
	// Live shows CPU and trends, in the place of restarts and failures.
	Live bool
}

// column is one column of the table.
type column struct {
	title string
	width int
	// left means that its texts begin at the left.
	left bool
	text func(a *AppOverview) string
}

const (
	minTableWidth = 64
	// wideTable has room for the column of URLs.
	wideTable = 110
	urlWidth  = 30
)

// Table returns the lines of the overview: a heading, and for each application one, with its notes below it.
func (o *Overview) Table(style TableStyle) (lines []string) {
	style.Width = max(style.Width, minTableWidth)
	columns := o.columns(style)

	lines = append(lines, style.paint(terminal.Bold, row(columns, func(c *column) string { return c.title })))
	for i := range o.Apps {
		a := &o.Apps[i]
		lines = append(lines, row(columns, func(c *column) string { return c.text(a) }))

		for _, note := range a.Notes {
			note = "  ! " + Printable(strings.Join(strings.Fields(note), " "))
			lines = append(lines, style.paint(terminal.Yellow, shorten(note, style.Width)))
		}
	}

	return lines
}

// paint colours a text, if there are colours.
func (s TableStyle) paint(colour, text string) string {
	if !s.Colour {
		return text
	}

	return colour + text + terminal.Reset
}

func (o *Overview) columns(style TableStyle) []column {
	figures := []column{
		{title: "BUSY", width: 7, text: func(a *AppOverview) string {
			text := fmt.Sprintf("%d/%d", a.Busy, a.Processes)
			if a.Starting > 0 {
				text += fmt.Sprintf("+%d", a.Starting)
			}

			return text
		}},
		{title: "REQ/S", width: 6, text: func(a *AppOverview) string { return rateText(a.Requests) }},
		{title: "P95", width: 6, text: func(a *AppOverview) string { return latencyText(a.P95) }},
		{title: "MEMORY", width: 6, text: func(a *AppOverview) string { return bytesText(a.Memory) }},
	}
	if style.Live {
		figures = append(figures,
			column{title: "CPU", width: 5, text: func(a *AppOverview) string { return fmt.Sprintf("%.0f%%", a.CPU) }},
			column{title: "REQUESTS OF LATE", width: trendPoints, left: true, text: func(a *AppOverview) string {
				return trend(a.Trend, style.Unicode)
			}})
	} else {
		figures = append(figures,
			column{title: "RESTARTS", width: 8, text: func(a *AppOverview) string { return fmt.Sprint(a.Restarts) }},
			column{title: "LAST FAILURE", width: 12, text: o.failureText})
	}

	room := style.Width
	for _, c := range figures {
		room -= c.width + 1
	}

	columns := []column{{
		title: "APPLICATION",
		left:  true,
		text:  func(a *AppOverview) string { return shortenFront(Printable(a.Name), room) },
	}}
	if style.Width >= wideTable && !style.Live {
		room -= urlWidth + 1
		columns = append(columns, column{
			title: "URL",
			width: urlWidth,
			left:  true,
			text:  func(a *AppOverview) string { return shorten(Printable(a.URL), urlWidth) },
		})
	}

	columns[0].width = room

	return append(columns, figures...)
}

func (o *Overview) failureText(a *AppOverview) string {
	if a.LastFailure.IsZero() {
		return "-"
	}

	return Age(o.At.Sub(a.LastFailure)) + " ago"
}

func row(columns []column, text func(*column) string) string {
	var b strings.Builder
	for i := range columns {
		c := &columns[i]
		if i > 0 {
			b.WriteByte(' ')
		}

		s := text(c)
		space := strings.Repeat(" ", max(c.width-utf8.RuneCountInString(s), 0))
		if c.left {
			b.WriteString(s + space)
		} else {
			b.WriteString(space + s)
		}
	}

	return strings.TrimRight(b.String(), " ")
}

// shorten leaves width characters of a text, from its beginning.
func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}

	return string([]rune(s)[:max(width-2, 0)]) + ".."
}

// shortenFront leaves width characters of a text, from its end: paths differ there.
func shortenFront(s string, width int) string {
	n := utf8.RuneCountInString(s)
	if n <= width {
		return s
	}

	return ".." + string([]rune(s)[min(n-width+2, n):])
}

// trend draws a figure for each value, in proportion to the greatest.
func trend(values []float32, unicode bool) string {
	steps := []rune(" .:-=+*#")
	if unicode {
		steps = []rune("▁▂▃▄▅▆▇█")
	}

	var most float32
	for _, v := range values {
		most = max(most, v)
	}

	text := make([]rune, 0, len(values))
	for _, v := range values {
		step := 0
		if most > 0 && v > 0 {
			// Few requests must not look like none.
			step = max(int(v/most*float32(len(steps)-1)+.5), 1)
		}

		text = append(text, steps[step])
	}

	return string(text)
}

// Headline sums an overview up in one line.
func (o *Overview) Headline() string {
	total := o.Total()

	return fmt.Sprintf("%s  %d of %d processes, %d busy  %s requests/s  %s  CPU %.0f%%",
		o.At.Format(time.TimeOnly), total.Processes, o.MaxProcesses, total.Busy, rateText(total.Requests),
		bytesText(total.Memory), total.CPU)
}

// ShortLogLine leaves out of a line of the log what a narrow view has no room for: the date, and the level if it is
// the usual one.
func ShortLogLine(line string) string {
	rest, ok := strings.CutPrefix(line, "time=")
	date, rest, found := strings.Cut(rest, " ")
	at, err := time.Parse(time.RFC3339Nano, date)

	if !ok || !found || err != nil {
		return line
	}

	return at.Format(time.TimeOnly) + " " + strings.TrimPrefix(strings.TrimPrefix(rest, "level=INFO "), "msg=")
}
