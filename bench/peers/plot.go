package main

import (
	"fmt"
	"html"
	"os"
	"slices"
	"strings"
)

// The measures of a plot, in pixels.
const (
	plotWidth  = 760
	plotLabels = 230 // of the names at the left
	plotFigure = 150 // of the figures at the right
	barHeight  = 14
	barGap     = 3
	peerGap    = 8
	titleSpace = 34
)

// plotColors are for the numbers of connections, in their order, and used again.
var plotColors = []string{"#3465a4", "#c17d11", "#4e9a06", "#75507b"}

// plot draws the requests a second of all comparisons as bars, with a line from the least to the most of the rounds.
func (r *report) plot() string {
	var body strings.Builder

	y := 24
	fmt.Fprintf(&body, "<text x=\"8\" y=\"%d\" class=\"soft\">%s</text>\n", y, html.EscapeString(r.Machine))

	for i := range r.Results {
		if c, ok := r.Results[i].Table.(*comparison); ok && len(c.Rows) > 0 {
			y = c.draw(&body, r.Results[i].Title, y+titleSpace)
		}
	}

	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d">
<style>
text { font: 12px sans-serif; fill: #222 }
.title { font-weight: bold; font-size: 14px }
.soft { fill: #666 }
.range { stroke: #222; stroke-width: 1 }
</style>
<rect width="100%%" height="100%%" fill="#fff"/>
%[3]s</svg>
`, plotWidth, y+16, body.String())
}

// draw draws a comparison from y on and returns where it ends.
func (c *comparison) draw(b *strings.Builder, title string, y int) int {
	most := 0.0
	for i := range c.Rows {
		most = max(most, c.Rows[i].Rate.Max)
	}

	if most == 0 {
		return y
	}

	scale := float64(plotWidth-plotLabels-plotFigure) / most

	fmt.Fprintf(b, "<text x=\"8\" y=\"%d\" class=\"title\">%s, requests a second</text>\n", y, html.EscapeString(title))
	y += barGap * 3

	connections := c.connections()
	for _, name := range c.names() {
		fmt.Fprintf(b, "<text x=\"8\" y=\"%d\">%s</text>\n", y+barHeight-barGap, html.EscapeString(name))

		for i := range c.Rows {
			if c.Rows[i].Name == name {
				color := plotColors[slices.Index(connections, c.Rows[i].Connections)%len(plotColors)]
				c.Rows[i].draw(b, y, scale, color)
				y += barHeight + barGap
			}
		}

		y += peerGap
	}

	return y
}

func (r *row) draw(b *strings.Builder, y int, scale float64, color string) {
	x := func(rate float64) float64 { return plotLabels + rate*scale }
	middle := y + barHeight/2

	fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", plotLabels, y,
		r.Rate.Median*scale, barHeight, color)
	fmt.Fprintf(b, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%[3]d\" class=\"range\"/>\n", x(r.Rate.Min),
		x(r.Rate.Max), middle)
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%.0f with %d</text>\n", x(r.Rate.Max)+6, y+barHeight-barGap,
		r.Rate.Median, r.Connections)
}

// names are those of the peers, in the order of the rows.
func (c *comparison) names() (names []string) {
	for i := range c.Rows {
		if !slices.Contains(names, c.Rows[i].Name) {
			names = append(names, c.Rows[i].Name)
		}
	}

	return names
}

// connections are the numbers of connections, in the order of the rows.
func (c *comparison) connections() (all []int) {
	for i := range c.Rows {
		if !slices.Contains(all, c.Rows[i].Connections) {
			all = append(all, c.Rows[i].Connections)
		}
	}

	return all
}

func (r *report) writePlot(path string) error {
	if err := os.WriteFile(path, []byte(r.plot()), 0o644); err != nil { //nolint:gosec // G306: a picture for all
		return fmt.Errorf("cannot write the plot: %w", err)
	}

	return nil
}
