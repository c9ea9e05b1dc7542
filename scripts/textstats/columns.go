package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// columnsCount are the extensions of sources, beside those of Go, whose lines have the same limit. So have scripts that
// have none.
var columnsCount = map[string]bool{
	".css":  true,
	".html": true,
	".js":   true,
	".pl":   true,
	".py":   true,
	".rb":   true,
	".ru":   true,
	".sh":   true,
}

// columns returns how wide a line is on the page, where a tab is four columns.
func columns(text string) int {
	return utf8.RuneCountInString(strings.ReplaceAll(text, "\t", "    "))
}

// longLines returns the numbers of the lines that are too long.
func longLines(src string) []int {
	var long []int
	for i, l := range strings.Split(src, "\n") {
		if columns(l) > maxColumns {
			long = append(long, i+1)
		}
	}

	return long
}

// longLinesOfMarkdown returns those of a document's prose. Rows of tables, code and links cannot be broken.
func longLinesOfMarkdown(src string) []int {
	lines := withoutFences(src)
	for i, l := range lines {
		row, code := strings.HasPrefix(strings.TrimSpace(l), "|"), strings.HasPrefix(l, "    ")
		if row || code || strings.Contains(l, "](") || strings.Contains(l, "://") {
			lines[i] = ""
		}
	}

	return longLines(strings.Join(lines, "\n"))
}

// addSource adds a source other than Go's. A file without an extension is one if it is a script.
func (s *stats) addSource(path string, list bool) error {
	src, err := os.ReadFile(path) //nolint:gosec // G304: a file of this tree
	if err != nil {
		return err
	}

	if filepath.Ext(path) == "" && !bytes.HasPrefix(src, []byte("#!")) {
		return nil
	}

	s.addLongLines(path, longLines(string(src)), list)

	return nil
}

func (s *stats) addLongLines(path string, lines []int, list bool) {
	for _, n := range lines {
		s.addLongLine(path, n, list)
	}
}

func (s *stats) addLongLine(path string, line int, list bool) {
	s.longestLines++
	if list {
		fmt.Printf("%s:%d: more than %d columns\n", path, line, maxColumns)
	}
}
