package status

import (
	"fmt"
	"io"
	"strings"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/printable"
)

// WriteFailedSpawns writes failures as text, grouped by application.
func WriteFailedSpawns(w io.Writer, failures []passenger.FailedSpawn, o TextOptions) error {
	var b strings.Builder
	if len(failures) == 0 {
		b.WriteString("No process has failed to start.\n")
	}

	// An application stands where its first failure in the list does.
	written := map[string]bool{}
	for i := range failures {
		f := &failures[i]
		if written[f.GroupName] {
			continue
		}

		written[f.GroupName] = true
		o.heading(&b, printable.Line(f.GroupName))

		for j := range failures {
			if failures[j].GroupName == f.GroupName {
				writeFailure(&b, &failures[j])
			}
		}
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func writeFailure(b *strings.Builder, f *passenger.FailedSpawn) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %-12s: %s\n", name, oneLine(value))
		}
	}
	fmt.Fprintf(b, "%s  cannot start %s: %s\n", f.At.Format("2006-01-02 15:04:05 -0700"), printable.Line(f.AppName),
		oneLine(f.Summary))
	field("Error ID", f.ID)
	field("What to do", f.Advice)
	field("Kind", f.Category)
	field("Failed at", f.Step)
	field("Exit status", f.ExitStatus)
	if f.Preloader {
		field("Process", "the preloader, which loads the application once and forks its processes")
	}

	field("Directory", f.AppRoot)
	field("Environment", f.Environment)
	field("Command", f.Command)
	field("User", f.User)
	writeLines(b, "What the application says", f.Message)
	title := "Output"
	if f.OutputCut {
		title = "The last of its output"
	}

	writeLines(b, title, f.Output)
	b.WriteString("\n")
}

func writeLines(b *strings.Builder, title, text string) {
	if text == "" {
		return
	}

	fmt.Fprintf(b, "  %s:\n", title)

	for line := range strings.SplitSeq(text, "\n") {
		// Backtraces of Go are indented by tabs, for which Line has question marks.
		fmt.Fprintf(b, "  | %s\n", printable.Line(strings.ReplaceAll(line, "\t", "    ")))
	}
}
