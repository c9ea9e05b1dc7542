package admin

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/terminal"
	"github.com/gopassenger/passenger/procstat"
)

// MemoryReport is how much memory web servers and we use.
type MemoryReport struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	// Apache and Nginx are nil when they were not asked for.
	Apache    *MemoryTable `json:"apache,omitempty"`
	Nginx     *MemoryTable `json:"nginx,omitempty"`
	Passenger MemoryTable  `json:"passenger"`
}

// MemoryTable is about some processes, in the order of their ids.
type MemoryTable struct {
	Processes []MemoryProcess `json:"processes"`
	// TotalPrivateDirty is the sum of what is known, in bytes.
	TotalPrivateDirty int64 `json:"totalPrivateDirty"`
	// Complete reports whether it is known of all.
	Complete bool `json:"complete"`
}

// MemoryProcess is a process. Sizes are in bytes, and null in JSON where they may
// not be read.
type MemoryProcess struct {
	PID          int                   `json:"pid"`
	PPID         procstat.Value[int]   `json:"ppid"`
	VMSize       procstat.Value[int64] `json:"vmSize"`
	RSS          procstat.Value[int64] `json:"rss"`
	PrivateDirty procstat.Value[int64] `json:"privateDirty"`
	Swap         procstat.Value[int64] `json:"swap"`
	Name         string                `json:"name"`
}

func newMemoryTable(processes []procstat.Process) *MemoryTable {
	t := &MemoryTable{Processes: []MemoryProcess{}, Complete: true}
	for i := range processes {
		p := &processes[i]
		t.Processes = append(t.Processes, MemoryProcess{
			PID:          p.PID,
			PPID:         p.PPID,
			VMSize:       p.VMSize,
			RSS:          p.RSS,
			PrivateDirty: p.PrivateDirty,
			Swap:         p.Swap,
			Name:         processName(p.Command.Or("?")),
		})
		private, known := p.PrivateDirty.Get()
		t.TotalPrivateDirty += private
		t.Complete = t.Complete && known
	}

	return t
}

// processName is without what the Ruby interpreter adds to a title.
func processName(command string) string {
	return strings.TrimSuffix(strings.TrimPrefix(command, "ruby: "), " (ruby)")
}

// Complete reports whether everything could be read.
func (r *MemoryReport) Complete() bool {
	return r.Passenger.Complete && (r.Apache == nil || r.Apache.Complete) && (r.Nginx == nil || r.Nginx.Complete)
}

// WriteText writes the tables as passenger-memory-stats does.
func (r *MemoryReport) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Version: %s\nDate   : %s\n\n", r.Version, r.At.Format("2006-01-02 15:04:05 -0700"))
	if r.Apache != nil {
		r.Apache.write(&b, "Apache processes", true, colour)
		b.WriteString("\n\n")
	}

	if r.Nginx != nil {
		r.Nginx.write(&b, "Nginx processes", true, colour)
		b.WriteString("\n\n")
	}

	r.Passenger.write(&b, "Passenger processes", false, colour)
	_, err := io.WriteString(w, b.String())

	return err
}

func (t *MemoryTable) write(b *strings.Builder, title string, parents, colour bool) {
	rows := make([][]string, 1, 1+len(t.Processes))

	rows[0] = []string{"PID", "PPID", "VMSize", "Private", "Name"}
	for i := range t.Processes {
		p := &t.Processes[i]
		rows = append(rows, []string{
			fmt.Sprint(p.PID), parent(p.PPID), megabytes(p.VMSize), megabytes(p.PrivateDirty),
			Printable(p.Name),
		})
	}

	if !parents {
		for i := range rows {
			rows[i] = append(rows[i][:1:1], rows[i][2:]...)
		}
	}

	last := len(rows[0]) - 1
	width := len(rows[0][last]) + 1

	widths := make([]int, last)
	for i := range last {
		for _, row := range rows {
			widths[i] = max(widths[i], len(row[i]))
		}

		width += widths[i] + len("  ")
	}

	b.WriteString(bar(title, width, colour) + "\n")

	for n, row := range rows {
		if len(t.Processes) == 0 {
			break
		}

		for i, width := range widths {
			fmt.Fprintf(b, "%-*s  ", width, row[i])
		}

		b.WriteString(row[last] + "\n")
		if n == 0 {
			b.WriteString(strings.Repeat("-", width) + "\n")
		}
	}

	unknown := ""
	if !t.Complete {
		unknown = " (?)"
	}

	fmt.Fprintf(b, "### Processes: %d\n### Total private dirty RSS: %.2f MB%s\n", len(t.Processes),
		float64(t.TotalPrivateDirty)/(1<<20), unknown)
}

// bar is a title in the middle of a line of dashes.
func bar(title string, width int, colour bool) string {
	left := max((width-len(title)-2)/2, 1)
	right := max(width-len(title)-2-left, 1)
	text := strings.Repeat("-", left) + " " + title + " " + strings.Repeat("-", right)
	if colour {
		return terminal.Heading + text + terminal.Reset
	}

	return text
}

func parent(ppid procstat.Value[int]) string {
	n, known := ppid.Get()
	if !known {
		return "?"
	}

	return fmt.Sprint(n)
}

func megabytes(size procstat.Value[int64]) string {
	n, known := size.Get()
	if !known {
		return "?"
	}

	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
