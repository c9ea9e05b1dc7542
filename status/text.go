// Package status writes the state of a pool in the forms that people and the original's tools read:
//
//	snapshot := pool.Inspect()
//	err := status.WriteText(os.Stdout, snapshot, status.TextOptions{})
//
// WriteText has the form of passenger-status, WriteXML and WriteJSON those of the original's
// /pool.xml and /pool.json. WriteFailedSpawns shows why processes did not start. JSON of all that
// the pool knows is what encoding/json makes of a passenger.Snapshot.
//
// All functions may be called concurrently. They return the errors of the writer; WriteJSON also
// those of encoding/json.
package status

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/internal/printable"
	"github.com/gopassenger/passenger/internal/redact"
)

// notKnown stands for a value that could not be read.
const notKnown = "n/a"

// TextOptions select what WriteText shows. The zero value is plain text without secrets.
type TextOptions struct {
	// Verbose shows the applications that wait for capacity, and how to reach a process directly,
	// including its password.
	Verbose bool
	// Colorize shows headings in yellow on blue, by terminal escape sequences.
	Colorize bool
}

// WriteText writes the snapshot in the form of passenger-status, whose labels tools read.
func WriteText(w io.Writer, s passenger.Snapshot, o TextOptions) error {
	var b strings.Builder
	o.heading(&b, "General information")
	fmt.Fprintf(&b, "Max pool size : %d\n", s.MaxPoolSize)
	fmt.Fprintf(&b, "App groups    : %d\n", len(s.Groups))
	fmt.Fprintf(&b, "Processes     : %d\n", processCount(&s))
	fmt.Fprintf(&b, "Requests in top-level queue : %d\n", len(s.WaitingForCapacity))
	if o.Verbose {
		for i, name := range s.WaitingForCapacity {
			fmt.Fprintf(&b, "  %d: %s\n", i, printable.Line(name))
		}
	}

	b.WriteString("\n")
	o.heading(&b, "Application groups")

	for i := range s.Groups {
		o.writeGroup(&b, &s.Groups[i], s.At)
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

// processCount is the number of processes that are not detached.
func processCount(s *passenger.Snapshot) (n int) {
	for i := range s.Groups {
		n += count(&s.Groups[i], passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled)
	}

	return n
}

func count(g *passenger.GroupSnapshot, states ...passenger.ProcessState) (n int) {
	for i := range g.Processes {
		if slices.Contains(states, g.Processes[i].State) {
			n++
		}
	}

	return n
}

func (o TextOptions) writeGroup(b *strings.Builder, g *passenger.GroupSnapshot, now time.Time) {
	fmt.Fprintf(b, "%s:\n  App root: %s\n", printable.Line(g.Name), printable.Line(g.AppRoot))

	// One line for all, or one for each process while they differ.
	release := commonRelease(g)
	// Without links to releases, it is the directory above.
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
		fmt.Fprintf(b, "  Resisting deployment error: %s (%s ago)\n", oneLine(message(e)), duration(now.Sub(e.At)))
	}

	if e := g.LastSpawnError; e != nil {
		fmt.Fprintf(b, "  Last start failed %s ago: %s (passenger status --show=errors)\n", duration(now.Sub(e.At)),
			oneLine(e.Summary))
	}

	fmt.Fprintf(b, "  Requests in queue: %d\n", g.QueueLength)

	for i := range g.Processes {
		o.writeProcess(b, &g.Processes[i], now)
		if root := g.Processes[i].ReleaseRoot; release == "" && root != "" {
			fmt.Fprintf(b, "    Release : %s\n", printable.Line(root))
		}
	}

	b.WriteString("\n")
}

// commonRelease returns the directory that all processes run in, or the next one will. It is empty
// while they differ, as during a restart or after a failed one.
func commonRelease(g *passenger.GroupSnapshot) string {
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

func (o TextOptions) writeProcess(b *strings.Builder, p *passenger.ProcessSnapshot, now time.Time) {
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
	case passenger.ProcessDisabling:
		b.WriteString("    Disabling...\n")
	case passenger.ProcessDisabled:
		b.WriteString("    DISABLED\n")
	case passenger.ProcessDetached:
		b.WriteString("    Shutting down...\n")
	}

	if o.Verbose && p.HTTPAddress != "" {
		fmt.Fprintf(b, "    URL     : http://%s\n    Password: %s\n", printable.Line(p.HTTPAddress),
			printable.Line(p.Password))
	}
}

// oneLine joins the lines of s, and escapes what would command a terminal.
func oneLine(s string) string { return printable.Line(strings.Join(strings.Fields(s), " ")) }

// duration formats d as in 2h 4m 9s.
func duration(d time.Duration) string {
	n := int64(max(d, 0) / time.Second)

	text := fmt.Sprintf("%ds", n%60)
	// Minutes and hours are what is left of a larger unit, and days have none above them.
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

// message is the reason of e, without secrets and without what its type says.
func message(e *passenger.DeploymentError) string {
	if e.Err == nil {
		return ""
	}

	return redact.Text(e.Err.Error())
}
