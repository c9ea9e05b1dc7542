// Command textstats counts what makes Go code easy or hard to read on the page: paragraphs,
// comments inside functions, long functions, long lines, also of other sources and documents; and
// words of comments and documents for which there are plainer ones. CONTRIBUTING.md has the values
// that the project keeps.
//
// Usage: go run ./scripts/textstats [-list] [-tests] [DIRECTORY]
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Limits of what is listed, in lines and columns.
const (
	longFunction  = 50
	needParagraph = 20
	maxColumns    = 120
)

// stats is what a set of files adds up to.
type stats struct {
	files, codeLines            int
	bodyLines, blank, comments  int
	functions, big, unbroken    int
	longFunctions, longestLines int
	words                       int
}

func main() {
	list := flag.Bool("list", false,
		"name each function that is long or without a paragraph, each line that is too long and each word of the list")
	tests := flag.Bool("tests", false, "count the tests instead of the production code and the documents")
	flag.Parse()

	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}

	var total stats
	if err := walk(root, *tests, *list, &total); err != nil {
		fmt.Fprintf(os.Stderr, "textstats: reading %s: %v\n", root, err)
		os.Exit(1)
	}

	total.print()
}

// skipped are directories whose files others have written, or a release has made.
var skipped = map[string]bool{"node_modules": true, "dist": true}

func walk(root string, tests, list bool, total *stats) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || skipped[d.Name()]):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}

		// What is only read by tests may be wrong on purpose, but not hard to read.
		inTestdata := strings.Contains(filepath.ToSlash(path), "/testdata/")
		switch ext := filepath.Ext(path); {
		case (columnsCount[ext] || ext == "" && d.Type().IsRegular()) && !tests:
			return total.addSource(path, list)
		case inTestdata:
			return nil
		case ext == ".md" && !tests:
			return total.addDocument(path, list)
		case ext == ".go" && strings.HasSuffix(path, "_test.go") == tests:
			return total.addFile(path, list)
		}

		return nil
	})
}

func (s *stats) addFile(path string, list bool) error {
	src, err := os.ReadFile(path) //nolint:gosec // G304: a file of this tree
	if err != nil {
		return err
	}

	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, parser.ParseComments)
	if err != nil {
		return err
	}

	kinds := classify(src)

	s.files++
	for i, k := range kinds {
		if k.code {
			s.codeLines++
		}

		if k.columns > maxColumns {
			s.addLongLine(path, i+1, list)
		}
	}

	s.addWords(path, wordsOfComments(set, file), list)

	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			s.addFunction(set, fn, kinds, list)
		}
	}

	return nil
}

func (s *stats) addDocument(path string, list bool) error {
	src, err := os.ReadFile(path) //nolint:gosec // G304: a file of this tree
	if err != nil {
		return err
	}

	s.addWords(path, wordsOfMarkdown(string(src)), list)
	s.addLongLines(path, longLinesOfMarkdown(string(src)), list)

	return nil
}

func (s *stats) addWords(path string, places []place, list bool) {
	s.words += len(places)
	if !list {
		return
	}

	for _, p := range places {
		fmt.Printf("%s:%d: %q\n", path, p.line, p.word)
	}
}

func (s *stats) addFunction(set *token.FileSet, fn *ast.FuncDecl, kinds []line, list bool) {
	open, end := set.Position(fn.Body.Lbrace), set.Position(fn.Body.Rbrace)
	s.functions++
	if end.Line-open.Line < 2 {
		return
	}

	// The body without its braces: kinds counts from 0, positions from 1.
	body := kinds[open.Line : end.Line-1]

	blank := 0
	for _, k := range body {
		if k.blank {
			blank++
		}

		if k.comment {
			s.comments++
		}
	}

	s.bodyLines += len(body)
	s.blank += blank

	if n := len(body) - blank; n > longFunction {
		s.longFunctions++
		if list {
			fmt.Printf("%s:%d: %s: %d lines\n", open.Filename, open.Line, fn.Name.Name, n)
		}
	}

	if len(body) < needParagraph {
		return
	}

	s.big++
	if blank == 0 {
		s.unbroken++
		if list {
			fmt.Printf("%s:%d: %s: %d lines without a paragraph\n", open.Filename, open.Line, fn.Name.Name, len(body))
		}
	}
}

// line is what one line of a file holds.
type line struct {
	blank, comment, code bool
	columns              int
}

// classify looks at the first bytes of each line, which gofmt has made tell what it is.
func classify(src []byte) []line {
	var lines []line
	scanner := bufio.NewScanner(bytes.NewReader(src))
	scanner.Buffer(nil, len(src)+1)

	for scanner.Scan() {
		text := scanner.Text()
		trimmed := strings.TrimSpace(text)
		k := line{blank: trimmed == "", comment: strings.HasPrefix(trimmed, "//")}
		k.code = !k.blank && !k.comment
		k.columns = columns(text)
		lines = append(lines, k)
	}

	return lines
}

func (s *stats) print() {
	fmt.Printf("files %d, lines of code %d, functions %d\n", s.files, s.codeLines, s.functions)
	fmt.Printf("blank lines in bodies      %5.1f %%\n", percent(s.blank, s.bodyLines))
	fmt.Printf("comment lines in bodies    %5.1f %%\n", percent(s.comments, s.bodyLines))
	fmt.Printf("no paragraph, of %2d+ lines %5.1f %% (%d of %d)\n", needParagraph, percent(s.unbroken, s.big),
		s.unbroken, s.big)
	fmt.Printf("functions over %d lines    %5d\n", longFunction, s.longFunctions)
	fmt.Printf("lines over %d columns     %5d\n", maxColumns, s.longestLines)
	fmt.Printf("words of the style's list  %5d\n", s.words)
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}

	return 100 * float64(part) / float64(whole)
}
