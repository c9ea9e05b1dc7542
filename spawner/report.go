package spawner

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/gopassenger/passenger/internal/redact"
)

// The bounds of a Report.
const (
	// MaxReportedLines is how many lines of output a Report has, the last ones.
	MaxReportedLines = 200

	maxReportedOutput  = 32 << 10
	maxReportedMessage = 24 << 10
	maxReportedText    = 1 << 10
)

// Report is a SpawnError for people, in the log, in tools and in hooks:
// without secrets of the environment and without control characters, and less than
// 64 KiB of it.
type Report struct {
	ID          string `json:"id"`
	AppName     string `json:"application"`
	AppRoot     string `json:"directory"`
	Environment string `json:"environment"`
	Category    string `json:"category"`
	// Summary is one sentence, and Advice says what to do; it may be empty.
	Summary string `json:"summary"`
	Advice  string `json:"advice"`
	// Message is what the application said itself, with its traceback, as plain
	// text; empty if it said nothing.
	Message string `json:"message"`
	// Output is the last of what the process printed, at most MaxReportedLines.
	Output string `json:"output"`
	// OutputCut reports whether there was more before it.
	OutputCut bool `json:"outputCut"`
	// Step is the one that failed, and ExitStatus how the process ended, if it did
	// by itself.
	Step       string `json:"step"`
	ExitStatus string `json:"exitStatus"`
	// Preloader reports whether the process that failed was the application's preloader.
	Preloader bool `json:"preloader"`
	// Command and User are those of the process; empty before they were decided.
	Command string `json:"command"`
	User    string `json:"user"`
}

// Report returns e in the form for people.
func (e *SpawnError) Report() Report {
	r := redact.New(e.Env)
	text := func(s string) string { return shortenTo(r.Text(s), maxReportedText) }

	output, cut := lastLines(r.Text(e.Output))
	report := Report{
		ID:          e.ID,
		AppName:     text(e.AppName),
		AppRoot:     text(e.AppRoot),
		Environment: text(e.Environment),
		Summary:     text(e.Summary),
		Advice:      text(e.Advice),
		Output:      output,
		OutputCut:   cut || e.OutputDropped > 0,
		Step:        string(e.Journey.failed()),
		ExitStatus:  text(e.ExitStatus),
		Preloader:   e.Preloader,
		Command:     text(strings.Join(e.Command, " ")),
		User:        text(e.User),
	}
	if e.Category != 0 {
		report.Category = e.Category.String()
	}

	if e.Message != nil {
		report.Message = r.Text(e.Message.Text)
		if e.Message.HTML {
			report.Message = plainText(report.Message)
		}

		report.Message = cutMiddle(strings.TrimRight(report.Message, "\n"), maxReportedMessage)
	}

	return report
}

// Said is what the application said, or else the last of what it printed.
func (r *Report) Said() string {
	if r.Message != "" {
		return r.Message
	}

	return r.Output
}

// lastLines reports whether there were more.
func lastLines(s string) (last string, cut bool) {
	last = strings.TrimRight(s, "\n")

	begin := len(last)
	for range MaxReportedLines {
		begin = strings.LastIndexByte(last[:begin], '\n')
		if begin < 0 {
			break
		}
	}

	if begin >= 0 {
		last, cut = last[begin+1:], true
	}

	if n := len(last) - maxReportedOutput; n > 0 {
		last, cut = strings.ToValidUTF8(last[n:], ""), true
	}

	return last, cut
}

// cutMiddle leaves out what is in the middle of a long text: a message begins with
// what is wrong, or ends with it.
func cutMiddle(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}

	head, tail := s[:maxBytes/2], s[len(s)-maxBytes/2:]

	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", strings.ToValidUTF8(head, ""), len(s)-maxBytes,
		strings.ToValidUTF8(tail, ""))
}

func shortenTo(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}

	for maxBytes > 0 && !utf8.RuneStart(s[maxBytes]) {
		maxBytes--
	}

	return s[:maxBytes] + "..."
}

var (
	unshown    = lazy(`(?is)<(style|script|head)\b.*?</(style|script|head)\s*>|<!--.*?-->`)
	lineBreak  = lazy(`(?i)<(br|/p|/div|/h[1-6]|/li|/tr|/pre)\b[^>]*>`)
	tag        = lazy(`<[^>]*>`)
	emptyLines = lazy(`\n\s*\n\s*\n+`)
)

// plainText is for those who cannot see HTML.
func plainText(s string) string {
	s = unshown().ReplaceAllString(s, "")
	s = lineBreak().ReplaceAllString(s, "\n")
	s = html.UnescapeString(tag().ReplaceAllString(s, ""))

	return strings.TrimSpace(emptyLines().ReplaceAllString(s, "\n\n"))
}
