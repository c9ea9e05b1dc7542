// Package catalogue reads which tests show which faults and promises of docs/faults.md. A test says so in the last
// line of its doc comment:
//
//	// Faults: B2, R-16.
package catalogue

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Test is a test function.
type Test struct {
	// Package is its directory below the module's, as "internal/test/faults"; "." is the root package.
	Package string
	Name    string
	// Codes are those of its comment, in the comment's order.
	Codes []string
}

const prefix = "Faults: "

var (
	codePattern = regexp.MustCompile(`^(?:[A-HP][0-9]{1,2}|R-[0-9]{2})$`)
	codedName   = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark|Example)_?[A-Z]_?[0-9]`)
)

// Tests are the test functions below a directory that name codes. It fails for a comment that cannot be read, and for a
// name that is a code.
func Tests(root string) ([]Test, error) {
	var found []Test
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != root && (entry.Name() == "testdata" || entry.Name()[0] == '.'):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}

		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}

		tests, err := testsOf(name)
		for i := range tests {
			tests[i].Package = filepath.ToSlash(dir)
		}

		found = append(found, tests...)

		return err
	})

	return found, err
}

func testsOf(name string) (tests []Test, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}

	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !isTest(f.Name.Name) {
			continue
		}

		if codedName.MatchString(f.Name.Name) {
			return nil, fmt.Errorf("%s: the name %s is a code: name the behaviour, and the code in a comment", name,
				f.Name)
		}

		codes, err := codesOf(f.Doc.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: comment of %s: %w", name, f.Name, err)
		}

		if len(codes) > 0 {
			tests = append(tests, Test{Name: f.Name.Name, Codes: codes})
		}
	}

	return tests, nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")
}

// codesOf are those of a comment, whose last paragraph may go over several lines.
func codesOf(comment string) ([]string, error) {
	at := strings.Index("\n"+comment, "\n"+prefix)
	if at < 0 {
		return nil, nil
	}

	list, rest, whole := strings.Cut(comment[at+len(prefix):], ".")
	if !whole || strings.TrimSpace(rest) != "" {
		return nil, fmt.Errorf("%q does not end its last line with a full stop", prefix)
	}

	codes := strings.Split(strings.Join(strings.Fields(list), " "), ", ")
	for i, code := range codes {
		if !codePattern.MatchString(code) || slices.Contains(codes[:i], code) {
			return nil, fmt.Errorf("%q is no code, or there twice", code)
		}
	}

	return codes, nil
}

// Column is what docs/faults.md says of a code's tests: each package once, with its tests.
func Column(tests []Test, code string) string {
	byPackage := map[string][]string{}
	for _, t := range tests {
		if slices.Contains(t.Codes, code) {
			byPackage[t.Package] = append(byPackage[t.Package], "`"+t.Name+"`")
		}
	}

	parts := make([]string, 0, len(byPackage))
	for _, dir := range slices.Sorted(maps.Keys(byPackage)) {
		name := path.Base(dir)
		if dir == "." {
			name = "passenger"
		}

		slices.Sort(byPackage[dir])
		parts = append(parts, name+": "+strings.Join(byPackage[dir], ", "))
	}

	return strings.Join(parts, "; ")
}

// Row is a fault or promise of the page.
type Row struct{ Code, Text, Tests string }

var rowPattern = regexp.MustCompile(`(?m)^\| ((?:[A-HP][0-9]{1,2}|R-[0-9]{2})) \|(.*)\|([^|]*)\|$`)

// Rows are those of the page.
func Rows(page string) ([]Row, error) {
	text, err := os.ReadFile(page) //nolint:gosec // G304: the page of this module
	if err != nil {
		return nil, err
	}

	var rows []Row
	for _, found := range rowPattern.FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, Row{Code: found[1], Text: strings.TrimSpace(found[2]), Tests: strings.TrimSpace(found[3])})
	}

	return rows, nil
}

// Update rewrites the column of tests.
func Update(page string, tests []Test) error {
	text, err := os.ReadFile(page) //nolint:gosec // G304: the page of this module
	if err != nil {
		return err
	}

	updated := rowPattern.ReplaceAllStringFunc(string(text), func(row string) string {
		found := rowPattern.FindStringSubmatch(row)
		return "| " + found[1] + " |" + found[2] + "| " + Column(tests, found[1]) + " |"
	})

	return os.WriteFile(page, []byte(updated), 0o644) //nolint:gosec // G306: a page
}
