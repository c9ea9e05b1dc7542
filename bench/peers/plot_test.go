package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlotHasEachPeerAndIsWellFormed(t *testing.T) {
	rate := func(median float64) spread { return spread{median, median / 2, median * 2} }
	r := report{Machine: "two <cores> & more", Results: []section{
		{Title: "hello, node", Table: &comparison{Rows: []row{
			{Name: "ours", Connections: 16, Rate: rate(1000)},
			{Name: "nginx & 2 node", Connections: 16, Rate: rate(2000)},
			{Name: "ours", Connections: 64, Rate: rate(1500)},
			{Name: "nginx & 2 node", Connections: 64, Rate: rate(2500)},
		}}},
		{Title: "failed", Table: &comparison{Rows: []row{{Name: "ours", Connections: 16}}}},
		{Title: "check", Table: &checkTable{}},
	}}

	plot := r.plot()
	for _, part := range []string{
		"two &lt;cores&gt; &amp; more", "hello, node, requests a second", "nginx &amp; 2 node", "1000 with 16", "2500 with 64",
	} {
		require.Contains(t, plot, part)
	}

	require.Equal(t, 1, strings.Count(plot, ">ours<"), "a name for the bars of all numbers of connections")

	bars := 0
	for decoder := xml.NewDecoder(strings.NewReader(plot)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}

		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "line" {
			bars++
		}
	}

	require.Equal(t, 4, bars)
}
