package middleware_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gopassenger/passenger/handler"
	"github.com/gopassenger/passenger/internal/test/leakgate"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/middleware/cases"
)

var update = flag.Bool("update", false, "write the table into docs/embedding.md")

const (
	document = "../../../docs/embedding.md"
	begin    = "<!-- middleware table: made by go test ./... in internal/test/middleware -->\n"
	end      = "<!-- end of the middleware table -->"
)

// rows returns what the table has, in its order.
func rows() []row {
	return slices.Concat(standardLibrary, []row{proxied}, chiRouter, gorilla, others, []row{together, real})
}

var (
	proxied = row{name: "httputil.ReverseProxy in front"}
	real    = row{name: "none, a real process by goapp", around: standardLibrary[0].around}
)

func TestHandlerBehindMiddleware(t *testing.T) {
	leakgate.Check(t)

	program := build(t)
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			var site *cases.Site
			switch r.name {
			case proxied.name:
				site = serveProxied(t, played(t, handler.Config{}))
			case real.name:
				site = serveRow(t, &r, started(t, program))
			default:
				site = serveRow(t, &r, played(t, handler.Config{}))
			}

			for _, c := range cases.All() {
				t.Run(c.Name, func(t *testing.T) { try(t, &r, &c, site) })
			}
		})
	}
}

// try plays a case by both versions of HTTP, and wants what the table says of it.
func try(t *testing.T, r *row, c *cases.Case, site *cases.Site) {
	t.Helper()

	for _, site.HTTP2 = range []bool{false, true} {
		if site.HTTP2 && c.HTTP1 {
			continue
		}

		err := c.Play(bounded(t), site)
		if known, ok := r.faults[c.Name]; ok {
			require.ErrorContains(t, err, known.says, "HTTP/2: %v; the table says that it does not work: %s",
				site.HTTP2, known.reason)
			continue
		}

		require.NoError(t, err, "HTTP/2: %v", site.HTTP2)
	}
}

// The document has what the test above has seen to be so.
func TestDocumentHasTheTable(t *testing.T) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "%s has no line %s", document, begin)
	had, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has no line %s", document, end)
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(before+begin+table()+end+after), 0o600))
		return
	}

	require.Equal(t, table(), had, "run: go test -run TestDocumentHasTheTable . -update")
}

// table returns the rows as Markdown. A word is enough where all is well.
func table() string {
	var b strings.Builder
	b.WriteString("| middleware |")

	for _, c := range cases.All() {
		fmt.Fprintf(&b, " %s |", c.Name)
	}

	b.WriteString("\n|---|" + strings.Repeat("---|", len(cases.All())) + "\n")

	for _, r := range rows() {
		fmt.Fprintf(&b, "| %s |", code(r.name))

		for _, c := range cases.All() {
			said := "yes"
			if f, ok := r.faults[c.Name]; ok {
				said = f.reason
			}

			fmt.Fprintf(&b, " %s |", said)
		}

		b.WriteString("\n")
	}

	return b.String()
}

// code sets a name in Go's form.
func code(name string) string {
	first, rest, _ := strings.Cut(name, " ")
	if strings.HasPrefix(first, "http.") || strings.HasPrefix(first, "httputil.") {
		return strings.TrimSpace("`" + first + "` " + rest)
	}

	return name
}
