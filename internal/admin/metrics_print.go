package admin

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/gopassenger/passenger/internal/terminal"
)

// WriteText writes the metrics for people.
func (m *SystemMetrics) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	heading := func(title string) {
		text := "------------- " + title + " -------------"
		if colour {
			text = terminal.Heading + text + terminal.Reset
		}

		b.WriteString(text + "\n")
	}
	if g := m.General; g != nil {
		heading("General")
		fmt.Fprintf(&b, "Kernel version    : %s\nUptime            : %s\n", g.Kernel, uptime(g.Uptime))
		fmt.Fprintf(&b, "Load averages     : %.2f, %.2f, %.2f\n", g.Load1, g.Load5, g.Load15)
		fmt.Fprintf(&b, "Processes         : %d, %d running\n", g.Count, g.Running)
		fmt.Fprintf(&b, "Fork rate         : %s\n\n", perSecond(g.ForkRate, 1, ""))
	}

	if c := m.CPU; c != nil {
		heading("CPU")
		c.write(&b)
	}

	if mem := m.Memory; mem != nil {
		heading("Memory")
		mem.write(&b)
	}

	_, err := io.WriteString(w, b.String())

	return err
}

func (c *CPUMetrics) write(b *strings.Builder) {
	fmt.Fprintf(b, "Number of CPUs    : %4d\n", c.Count)
	line := func(label string, u CPUUsage) {
		fmt.Fprintf(b, "%-18s: %3.0f%%  -- %3.0f%% user, %3.0f%% nice, %3.0f%% system, %3.0f%% idle\n", label, u.Usage,
			u.User, u.Nice, u.System, u.Idle)
	}
	line("Average CPU usage", c.Average)

	for i, u := range c.CPUs {
		line(fmt.Sprintf("  CPU %d", i+1), u)
	}

	each := func(width int, label string, of func(CPUUsage) float64) {
		fmt.Fprintf(b, "%-*s: %3.0f%%\n", width, label, of(c.Average))

		for i, u := range c.CPUs {
			fmt.Fprintf(b, "%-*s: %3.0f%%\n", width, fmt.Sprintf("  CPU %d", i+1), of(u))
		}
	}
	each(18, "I/O pressure", func(u CPUUsage) float64 { return u.IOWait })
	each(27, "Interference from other VMs", func(u CPUUsage) float64 { return u.Steal })
	b.WriteString("\n")
}

func (m *MemoryMetrics) write(b *strings.Builder) {
	mb := func(label string, n uint64, share string) {
		fmt.Fprintf(b, "%-18s: %6d MB%s\n", label, n>>20, share)
	}
	mb("RAM total", m.Total, "")
	mb("RAM used", m.Used, share(m.Used, m.Total))
	mb("RAM free", m.Free, "")
	mb("Swap total", m.SwapTotal, "")
	mb("Swap used", m.SwapUsed, share(m.SwapUsed, m.SwapTotal))
	mb("Swap free", m.SwapFree, "")
	fmt.Fprintf(b, "Swap in           : %s\nSwap out          : %s\n\n", perSecond(m.SwapIn, 1<<20, " MB"),
		perSecond(m.SwapOut, 1<<20, " MB"))
}

func share(part, whole uint64) string {
	if whole == 0 {
		return ""
	}

	return fmt.Sprintf(" (%.0f%%)", 100*float64(part)/float64(whole))
}

func perSecond(r *float64, unit float64, name string) string {
	if r == nil {
		return "unknown"
	}

	return fmt.Sprintf("%.1f%s/sec", *r/unit, name)
}

func uptime(seconds float64) string {
	d := time.Duration(seconds) * time.Second

	text := ""
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		// Behind a larger unit, a smaller one is shown even if there is none of it.
		if d >= unit.size || text != "" {
			text += fmt.Sprintf("%d%s ", d/unit.size, unit.name)
			d %= unit.size
		}
	}

	return text + fmt.Sprintf("%ds", d/time.Second)
}

// The elements are those of the original's form, sizes in kB.
type xmlMetrics struct {
	XMLName xml.Name    `xml:"system_metrics"`
	Form    string      `xml:"version,attr"`
	General *xmlGeneral `xml:"general"`
	CPU     *xmlCPU     `xml:"cpu_metrics"`
	Memory  *xmlMemory  `xml:"memory_metrics"`
}

type xmlTime struct {
	Local string `xml:"localtime"`
	Unix  int64  `xml:"timestamp"`
}

func newXMLTime(t time.Time) xmlTime { return xmlTime{t.Format(time.ANSIC), t.Unix()} }

type xmlGeneral struct {
	Now     xmlTime `xml:"current_time"`
	Version string  `xml:"passenger_version"`
	Kernel  string  `xml:"kernel_version"`
	Booted  xmlTime `xml:"boottime"`
	Seconds int64   `xml:"uptime>seconds"`
	Uptime  string  `xml:"uptime>description"`
	One     string  `xml:"load_averages>one"`
	Five    string  `xml:"load_averages>five"`
	Fifteen string  `xml:"load_averages>fifteen"`
	Count   int     `xml:"process_count"`
	Forks   string  `xml:"fork_rate,omitempty"`
}

type xmlUsage struct {
	Number int    `xml:"number,omitempty"`
	Usage  string `xml:"usage"`
	User   string `xml:"user"`
	Nice   string `xml:"nice"`
	System string `xml:"system"`
	IOWait string `xml:"iowait"`
	Idle   string `xml:"idle"`
	Steal  string `xml:"steal"`
}

type xmlCPU struct {
	Count   int        `xml:"ncpus"`
	Average xmlUsage   `xml:"average"`
	CPUs    []xmlUsage `xml:"cpus>cpu"`
}

type xmlMemory struct {
	Total     uint64 `xml:"ram_total"`
	Used      uint64 `xml:"ram_used"`
	Free      uint64 `xml:"ram_free"`
	SwapTotal uint64 `xml:"swap_total"`
	SwapUsed  uint64 `xml:"swap_used"`
	SwapFree  uint64 `xml:"swap_free"`
	SwapIn    string `xml:"swap_in_rate,omitempty"`
	SwapOut   string `xml:"swap_out_rate,omitempty"`
}

// WriteXML writes the metrics in version 1.0 of the original's form. Rates that
// are not known are left out.
func (m *SystemMetrics) WriteXML(w io.Writer) error {
	x := xmlMetrics{Form: "1.0"}
	if g := m.General; g != nil {
		x.General = &xmlGeneral{
			Now:     newXMLTime(m.At),
			Version: m.Version,
			Kernel:  g.Kernel,
			Booted:  newXMLTime(g.Booted),
			Seconds: int64(g.Uptime),
			Uptime:  uptime(g.Uptime),
			One:     decimals(g.Load1),
			Five:    decimals(g.Load5),
			Fifteen: decimals(g.Load15),
			Count:   g.Count,
			Forks:   optional(g.ForkRate, 1),
		}
	}

	if c := m.CPU; c != nil {
		x.CPU = &xmlCPU{Count: c.Count, Average: newXMLUsage(0, c.Average)}
		for i, u := range c.CPUs {
			x.CPU.CPUs = append(x.CPU.CPUs, newXMLUsage(i+1, u))
		}
	}

	if mem := m.Memory; mem != nil {
		x.Memory = &xmlMemory{
			mem.Total >> 10, mem.Used >> 10, mem.Free >> 10, mem.SwapTotal >> 10, mem.SwapUsed >> 10,
			mem.SwapFree >> 10,
			optional(mem.SwapIn, 1<<10), optional(mem.SwapOut, 1<<10),
		}
	}

	body, err := xml.Marshal(x)
	if err != nil {
		return err
	}

	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, body)

	return err
}

func newXMLUsage(number int, u CPUUsage) xmlUsage {
	return xmlUsage{
		number, decimals(u.Usage), decimals(u.User), decimals(u.Nice), decimals(u.System),
		decimals(u.IOWait), decimals(u.Idle), decimals(u.Steal),
	}
}

func decimals(f float64) string {
	if math.IsNaN(f) {
		return ""
	}

	return fmt.Sprintf("%.2f", f)
}

func optional(r *float64, unit float64) string {
	if r == nil {
		return ""
	}

	return decimals(*r / unit)
}
