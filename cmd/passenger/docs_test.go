package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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

// Each option of start is on the page about the configuration, by its key and its
// flag, and no flag is there that does not exist.
func TestConfigurationPage(t *testing.T) {
	names := documented(t, "../../docs/configuration.md")

	flags := map[string]bool{}
	for _, o := range startOptions {
		require.Contains(t, names, o.key)
		flags["--"+o.flag], flags["--"+o.also] = true, true
		if slices.Contains([]string{"ssl", "request_queue_overflow_status_code"}, o.key) {
			continue
		}

		if group := strings.HasPrefix(o.key, "ssl_certificate") || strings.HasSuffix(o.key, "_status_code"); !group {
			require.Contains(t, names, "--"+o.flag, "of %s", o.key)
		}
	}

	for _, name := range names {
		if strings.HasPrefix(name, "--") && !strings.Contains(name, ",") {
			require.True(t, flags[name], "%s is no option of start", name)
		}
	}
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
