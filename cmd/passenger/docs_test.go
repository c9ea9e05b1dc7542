package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/agent"
	"github.com/gopassenger/passenger/internal/options"
)

// documented are the keys and flags that a page names in its tables.
func documented(t *testing.T, page string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)

	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}

		for i, part := range strings.Split(line, "`") {
			if i%2 == 1 { // between two of them
				name, _, _ := strings.Cut(part, " ")
				names = append(names, name)
			}
		}
	}

	return names
}

var update = flag.Bool("update", false, "write the tables of options into docs")

// The tables of options in the documents are those that the options say. After a change of an option,
// go test ./cmd/passenger -run TestDocumentsHaveTheTablesOfOptions -update
func TestDocumentsHaveTheTablesOfOptions(t *testing.T) {
	tables := map[string]string{
		"of requests":   optionTable(options.Request, "option", agent.OptionsIn(options.Request)),
		"of the daemon": optionTable(options.Flying, "option", agent.OptionsIn(options.Flying)),
	}

	for _, g := range agent.Groups() {
		var inStart []*agent.Option
		for i := range g.Options {
			if o := &g.Options[i]; o.In(options.Start) {
				inStart = append(inStart, o)
			}
		}

		tables[g.Title] = optionTable(options.Start, "key | command line", inStart)
	}

	seen := 0
	for _, page := range []string{"../../docs/configuration.md", "../../docs/flying.md"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)

		want := tableInPage.ReplaceAllStringFunc(string(text), func(place string) string {
			name := tableInPage.FindStringSubmatch(place)[1]
			require.Contains(t, tables, name, page)

			seen++
			want := "<!-- options " + name + " -->\n" + tables[name] + "<!-- end -->"
			if !*update {
				require.Equal(t, want, place, "%s: run this test with -update", page)
			}

			return want
		})
		if *update {
			require.NoError(t, os.WriteFile(page, []byte(want), 0o600))
		}
	}

	require.Len(t, tables, seen)
}

var tableInPage = regexp.MustCompile(`(?s)<!-- options ([^>]*) -->\n.*?<!-- end -->`)

func optionTable(scope options.Scope, names string, rows []*agent.Option) string {
	head := "| " + names + " | default | |\n"

	table := head + strings.Repeat("|---", strings.Count(head, "|")-1) + "|\n"
	for _, o := range rows {
		table += o.Row(scope)
	}

	return table
}

// Each test that the page about security names is there.
func TestSecurityPageNamesTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}

		text, err := os.ReadFile(path)
		for _, found := range function.FindAllSubmatch(text, -1) {
			tests[string(found[1])] = true
		}

		return err
	}))

	named := 0
	for _, name := range documented(t, "../../docs/security.md") {
		if strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
			named++
			require.True(t, tests[name], "there is no test %s", name)
		}
	}

	require.Positive(t, named)
}
