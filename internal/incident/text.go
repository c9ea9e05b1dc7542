package incident

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/status"
)

// List are incidents, the newest first.
type List struct {
	Incidents []status.Incident `json:"incidents"`
}

// DecodeList reads what GET /incidents.json responds.
func DecodeList(content []byte) (*List, error) {
	l := &List{}
	if err := json.Unmarshal(content, l); err != nil {
		return nil, err
	}

	return l, nil
}

// WriteText writes the list for people.
func (l *List) WriteText(w io.Writer) error {
	if len(l.Incidents) == 0 {
		_, err := io.WriteString(w, "No incident was recorded.\n")
		return err
	}

	var b strings.Builder
	for _, one := range l.Incidents {
		fmt.Fprintf(&b, "%s  %s  %s\n    %s\n", one.At.Local().Format(time.DateTime), printable.Line(one.ID),
			printable.Line(one.App), printable.Line(one.Summary))
	}

	_, err := io.WriteString(w, b.String())

	return err
}

// WriteText writes the record for people.
func (r *Record) WriteText(w io.Writer) error {
	var b strings.Builder

	if r.ID != "" {
		fmt.Fprintf(&b, "Incident:     %s\n", printable.Line(r.ID))
	}

	fmt.Fprintf(&b, "Time:         %s\n", r.At.Local().Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Application:  %s\n", printable.Line(r.App))
	fmt.Fprintf(&b, "What:         %s\n", printable.Line(r.Summary))

	if r.Request != nil {
		b.WriteString("\nRequest:\n")
		r.Request.write(&b)
	}

	if len(r.Others) > 0 {
		fmt.Fprintf(&b, "\nOther requests (%d):\n", len(r.Others))

		for i := range r.Others {
			r.Others[i].write(&b)
		}
	}

	for i := range r.Processes {
		r.Processes[i].write(&b)
	}

	if r.Cut != "" {
		fmt.Fprintf(&b, "\n%s\n", printable.Line(r.Cut))
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func (q *Request) write(b *strings.Builder) {
	state := printable.Line(q.State)
	if q.ClientGone {
		state += ", its client has left"
	}

	fmt.Fprintf(b, "  %s %s%s  %s  after %.1f s, of which %.1f s in the queue  (%s)\n", printable.Line(q.Method),
		printable.Line(q.Host), printable.Line(q.Path), state, q.Age, q.Queued, printable.Line(q.ID))
}

func (p *Process) write(b *strings.Builder) {
	fmt.Fprintf(b, "\nProcess %d", p.PID)
	if p.Type != "" {
		fmt.Fprintf(b, " (%s)", printable.Line(p.Type))
	}

	fmt.Fprintf(b, ": started %.0f s before, %d requests, %d before those", p.Age, p.Sessions, p.Processed)
	if bytes, ok := p.Memory.Get(); ok {
		fmt.Fprintf(b, ", %d MB", bytes>>20)
	}

	if p.ExitStatus != "" {
		fmt.Fprintf(b, ", ended: %s", printable.Line(p.ExitStatus))
	}

	b.WriteString("\n")
	writeLines(b, "Backtraces", p.Backtraces, p.NoBacktraces)
	writeLines(b, "Last output", p.Output, "")

	if len(p.Tree) > 0 {
		b.WriteString("\n  System:\n")
	}

	for i := range p.Tree {
		p.Tree[i].write(b)
	}
}

// writeLines writes a list, or why there is none.
func writeLines(b *strings.Builder, title string, lines []string, why string) {
	if len(lines) == 0 && why == "" {
		return
	}

	fmt.Fprintf(b, "\n  %s:\n", title)

	if len(lines) == 0 {
		fmt.Fprintf(b, "    (none: %s)\n", printable.Line(why))
	}

	for _, line := range lines {
		fmt.Fprintf(b, "    %s\n", strings.TrimRight(printable.Text(line), "\n"))
	}
}

func (s *SystemProcess) write(b *strings.Builder) {
	fmt.Fprintf(b, "    %d  %s  %s", s.PID, printable.Line(s.State), printable.Line(s.Command))
	if bytes, ok := s.RSS.Get(); ok {
		fmt.Fprintf(b, "  %d MB", bytes>>20)
	}

	if files, ok := s.Files.Get(); ok {
		fmt.Fprintf(b, "  %d files", files)
	}

	b.WriteString("\n")

	for _, t := range s.Threads {
		fmt.Fprintf(b, "      thread %d  %s  %s", t.TID, printable.Line(t.State), printable.Line(t.Name))
		if t.WaitsIn != "" {
			fmt.Fprintf(b, "  waits in %s", printable.Line(t.WaitsIn))
		}

		b.WriteString("\n")
	}
}
