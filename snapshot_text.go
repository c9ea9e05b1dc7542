package passenger

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/printable"
)

// notKnown stands for what could not be read.
const notKnown = "n/a"

// TextOptions say how WriteText shows a snapshot. The zero value is plain.
type TextOptions struct {
	// Verbose shows who waits for capacity, and how to reach a process
	// directly, passwords included.
	Verbose bool
	// Colorize shows headings in yellow on blue.
	Colorize bool
}

// WriteText writes the snapshot as passenger-status does, of which tools read
// the labels.
func (s Snapshot) WriteText(w io.Writer, o TextOptions) error {
	var b strings.Builder
	o.heading(&b, "General information")
	fmt.Fprintf(&b, "Max pool size : %d\n", s.MaxPoolSize)
	fmt.Fprintf(&b, "App groups    : %d\n", len(s.Groups))
	fmt.Fprintf(&b, "Processes     : %d\n", s.processCount())
	fmt.Fprintf(&b, "Requests in top-level queue : %d\n", len(s.WaitingForCapacity))
	if o.Verbose {
		for i, name := range s.WaitingForCapacity {
			fmt.Fprintf(&b, "  %d: %s\n", i, printable.Line(name))
		}
	}

	b.WriteString("\n")
	o.heading(&b, "Application groups")

	for i := range s.Groups {
		s.Groups[i].writeText(&b, s.At, o)
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func (o TextOptions) heading(b *strings.Builder, title string) {
	on, off := "", ""
	if o.Colorize {
		on, off = "\x1b[44m\x1b[33m\x1b[1m", "\x1b[0m"
	}

	fmt.Fprintf(b, "%s----------- %s -----------%s\n", on, title, off)
}

// processCount counts the processes that are not detached.
func (s Snapshot) processCount() (n int) {
	for i := range s.Groups {
		n += s.Groups[i].count(ProcessEnabled, ProcessDisabling, ProcessDisabled)
	}

	return n
}

func (g *GroupSnapshot) count(states ...ProcessState) (n int) {
	for i := range g.Processes {
		if slices.Contains(states, g.Processes[i].State) {
			n++
		}
	}

	return n
}

func (g *GroupSnapshot) writeText(b *strings.Builder, now time.Time, o TextOptions) {
	fmt.Fprintf(b, "%s:\n  App root: %s\n", printable.Line(g.Name), printable.Line(g.AppRoot))
	release := g.commonRelease()
	if release != "" && release != g.AppRoot {
		fmt.Fprintf(b, "  Release : %s\n", printable.Line(release))
	}

	if g.Restarting {
		b.WriteString("  (restarting...)\n")
	}

	switch g.Spawning {
	case 0:
	case 1:
		b.WriteString("  (spawning 1 new process...)\n")
	default:
		fmt.Fprintf(b, "  (spawning %d new processes...)\n", g.Spawning)
	}

	if e := g.DeploymentError; e != nil {
		fmt.Fprintf(b, "  Resisting deployment error: %s (%s ago)\n", oneLine(e.message()), duration(now.Sub(e.At)))
	}

	if e := g.LastSpawnError; e != nil {
		fmt.Fprintf(b, "  Last start failed %s ago: %s (passenger status --show=errors)\n", duration(now.Sub(e.At)),
			oneLine(e.Summary))
	}

	fmt.Fprintf(b, "  Requests in queue: %d\n", g.QueueLength)

	for i := range g.Processes {
		g.Processes[i].writeText(b, now, o)
		if root := g.Processes[i].ReleaseRoot; release == "" && root != "" {
			fmt.Fprintf(b, "    Release : %s\n", printable.Line(root))
		}
	}

	b.WriteString("\n")
}

// commonRelease returns the directory that all processes run in, or that the next one will;
// empty while they differ, as during a restart and after one that has failed.
func (g *GroupSnapshot) commonRelease() string {
	common := ""
	for i := range g.Processes {
		root := g.Processes[i].ReleaseRoot
		if common != "" && root != "" && root != common {
			return ""
		}

		common = cmp.Or(root, common)
	}

	if len(g.Processes) == 0 {
		return g.ReleaseRoot
	}

	return common
}

func (p *ProcessSnapshot) writeText(b *strings.Builder, now time.Time, o TextOptions) {
	fmt.Fprintf(b, "  * PID: %-5d   Sessions: %-2d      Processed: %-5d   Uptime: %s\n", p.PID, p.Sessions, p.Processed,
		duration(now.Sub(p.Spawned)))
	cpu, memory := notKnown, notKnown
	if percent, ok := p.Metrics.CPU.Get(); ok {
		cpu = fmt.Sprintf("%.0f%%", percent)
	}

	if bytes, ok := p.Metrics.RealMemory().Get(); ok {
		memory = fmt.Sprintf("%dM", bytes>>20)
	}

	fmt.Fprintf(b, "    CPU: %-5s   Memory  : %-5s   Last used: %s ago\n", cpu, memory, duration(now.Sub(p.LastUsed)))

	switch p.State {
	case ProcessDisabling:
		b.WriteString("    Disabling...\n")
	case ProcessDisabled:
		b.WriteString("    DISABLED\n")
	case ProcessDetached:
		b.WriteString("    Shutting down...\n")
	}

	if o.Verbose && p.HTTPAddress != "" {
		fmt.Fprintf(b, "    URL     : http://%s\n    Password: %s\n", printable.Line(p.HTTPAddress), printable.Line(p.Password))
	}
}

// oneLine shows a text of several lines on one.
func oneLine(s string) string { return printable.Line(strings.Join(strings.Fields(s), " ")) }

// duration is like 2h 4m 9s.
func duration(d time.Duration) string {
	n := int64(max(d, 0) / time.Second)

	text := fmt.Sprintf("%ds", n%60)
	for _, unit := range []struct {
		size int64
		last int64
		name string
	}{{60, 60, "m"}, {3600, 24, "h"}, {86400, 1 << 62, "d"}} {
		if n >= unit.size {
			text = fmt.Sprintf("%d%s %s", n/unit.size%unit.last, unit.name, text)
		}
	}

	return text
}
