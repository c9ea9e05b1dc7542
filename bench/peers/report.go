package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that a run found.
type report struct {
	Machine  string    `json:"machine"`
	Versions []string  `json:"versions"`
	Results  []section `json:"results"`
}

// section is the result of a scenario, or of a scenario with one kind of
// application. Its table is for people.
type section struct {
	Title string `json:"title"`
	Table table  `json:"table"`
}

type table interface{ print(w io.Writer) }

func (r *report) printHead(w io.Writer) {
	fmt.Fprintln(w, r.Machine)

	for _, version := range r.Versions {
		fmt.Fprintln(w, "  "+version)
	}
}

func (s *section) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", s.Title)
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	s.Table.print(columns)

	return columns.Flush()
}

func (r *report) printJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// comparison is a table of rows that are compared to the first one of those
// with the same number of connections.
type comparison struct {
	Rows []row `json:"rows"`
	// Skipped are peers that could not be measured.
	Skipped []string `json:"skipped,omitempty"`
	base    string   // the name of the first row
}

func (c *comparison) print(w io.Writer) {
	fmt.Fprintf(w, "conns\tpeer\treq/s\tmin..max\tp50\tp99\tfront µs/req\tapp µs/req\t%s/this\tmin..max\tothers\t\n",
		c.base)

	for i := range c.Rows {
		r := &c.Rows[i]
		rounds := r.figures(func(r *round) float64 { return r.Rate })
		if len(rounds) == 0 {
			fmt.Fprintf(w, "%d\t%s\tfailed\t\t\t\t\t\t\t\t\t%s\n", r.Connections, r.Name, mark(r.errors()))
			continue
		}

		front := "-"
		if !r.Frontless {
			front = fmt.Sprintf("%.1f", median(r.figures(func(r *round) float64 { return r.FrontCPU })))
		}

		fmt.Fprintf(w, "%d\t%s\t%.0f\t%.0f..%.0f\t%s\t%s\t%s\t%.1f\t%.2f\t%.2f..%.2f\t%.0f %%\t%s\n",
			r.Connections, r.Name, r.Rate.Median, r.Rate.Min, r.Rate.Max,
			latency(median(r.figures(func(r *round) float64 { return r.P50 }))),
			latency(median(r.figures(func(r *round) float64 { return r.P99 }))),
			front, median(r.figures(func(r *round) float64 { return r.AppCPU })),
			r.Ratio.Median, r.Ratio.Min, r.Ratio.Max,
			100*median(r.figures(func(r *round) float64 { return r.Foreign })), mark(r.errors()))
	}

	for _, name := range c.Skipped {
		fmt.Fprintf(w, "\t%s\tnot measured, see above\n", name)
	}
}

// mark makes what went wrong visible in a row, where one line has room.
func mark(errors string) string {
	line, _, _ := strings.Cut(errors, "\n")
	if line == "" {
		return ""
	}

	return "! " + line
}

// latency keeps three digits of a time in microseconds.
func latency(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	switch {
	case d == 0: // no request got a response
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", us/1e3)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", us/1e3)
	default:
		return fmt.Sprintf("%.0f ms", us/1e3)
	}
}
