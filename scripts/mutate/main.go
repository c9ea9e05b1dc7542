// Command mutate shows what the tests of a package would not notice. It changes one place of
// the package at a time (a comparison, a condition, a call or an assignment that goes), runs
// the package's own tests with that, and lists the changes that no test has caught. Files of
// the tree stay as they are: the changed one is an overlay of the go command's.
//
// Usage: go run ./scripts/mutate [-n 60] [-seed 1] [-timeout 5m] [-run REGEXP] PACKAGE-DIRECTORY
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mutation replaces bytes of a file.
type mutation struct {
	path       string
	line       int
	start, end int
	text       string
	was        string
}

func main() {
	n := flag.Int("n", 60, "how many places to change")
	seed := flag.Uint64("seed", 1, "which of them")
	timeout := flag.Duration("timeout", 5*time.Minute,
		"the time that the tests may take; a change that makes them hang is caught")
	tests := flag.String("run", "", "run only tests that match this")
	flag.Parse()

	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}

	if err := run(flag.Arg(0), *n, *seed, *timeout, *tests); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(dir string, n int, seed uint64, timeout time.Duration, tests string) error {
	all, err := find(dir)
	if err != nil {
		return fmt.Errorf("reading the package in %s: %w", dir, err)
	}

	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // G404: it chooses a sample
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	scratch, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}

	defer func() { _ = os.RemoveAll(scratch) }()

	caught, tried := 0, 0
	for _, m := range all {
		if tried == n {
			break
		}

		result, err := m.try(dir, scratch, timeout, tests)
		if err != nil {
			return err
		}

		if result == doesNotCompile {
			continue // the compiler is not a test
		}

		tried++
		if result == wasCaught {
			caught++
		}

		fmt.Printf("%s %s:%d: %q -> %q\n", result, m.path, m.line, m.was, m.text)
	}

	if tried == 0 {
		return fmt.Errorf("%s has nothing to change", dir)
	}

	fmt.Printf("caught %d of %d, %d %%\n", caught, tried, 100*caught/tried)

	return nil
}

type result string

const (
	wasCaught      result = "caught  "
	survived       result = "SURVIVED"
	doesNotCompile result = "does not compile"
)

func (m *mutation) try(dir, scratch string, timeout time.Duration, tests string) (result, error) {
	src, err := os.ReadFile(m.path)
	if err != nil {
		return "", err
	}

	changed := filepath.Join(scratch, "changed.go")
	text := string(src[:m.start]) + m.text + string(src[m.end:])
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil { //nolint:gosec // G703: in a directory of our own
		return "", err
	}

	path, err := filepath.Abs(m.path)
	if err != nil {
		return "", err
	}

	overlay := filepath.Join(scratch, "overlay.json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}

	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		return "", err
	}

	// The first run says whether it is Go at all.
	if out, err := goTest(dir, timeout, "-overlay", overlay, "-run", "^$"); err != nil {
		if bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")) {
			return doesNotCompile, nil
		}

		return wasCaught, nil // before the first test
	}

	if _, err := goTest(dir, timeout, "-overlay", overlay, "-failfast", "-run", tests); err != nil {
		return wasCaught, nil //nolint:nilerr // that is what tests are for
	}

	return survived, nil
}

func goTest(dir string, timeout time.Duration, args ...string) ([]byte, error) {
	// The tests have their own time-out; this one is for what hangs beyond it.
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()

	args = append([]string{"test", "-vet=off", "-count=1", "-timeout", timeout.String()}, args...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = dir

	return cmd.CombinedOutput()
}

// find lists what could be changed in the files that this system compiles.
func find(dir string) ([]*mutation, error) {
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}

	var all []*mutation
	for _, name := range pkg.GoFiles {
		path := filepath.Join(dir, name)
		src, err := os.ReadFile(path) //nolint:gosec // G304: a file of this tree
		if err != nil {
			return nil, err
		}

		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, src, 0)
		if err != nil {
			return nil, err
		}

		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				all = append(all, inFunction(set, path, src, fn)...)
			}
		}
	}

	return all, nil
}

var turned = map[token.Token]string{
	token.EQL:  "!=",
	token.NEQ:  "==",
	token.LSS:  "<=",
	token.LEQ:  "<",
	token.GTR:  ">=",
	token.GEQ:  ">",
	token.LAND: "||",
	token.LOR:  "&&",
}

func inFunction(set *token.FileSet, path string, src []byte, fn *ast.FuncDecl) (found []*mutation) {
	add := func(from, to token.Pos, text string) {
		start, end := set.Position(from), set.Position(to)
		was := string(src[start.Offset:end.Offset])
		found = append(found, &mutation{
			path:  path,
			line:  start.Line,
			start: start.Offset,
			end:   end.Offset,
			text:  text,
			was:   strings.Join(strings.Fields(was), " "),
		})
	}

	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if other, ok := turned[n.Op]; ok {
				add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other)
			}
		case *ast.ExprStmt:
			if _, ok := n.X.(*ast.CallExpr); ok {
				add(n.Pos(), n.End(), "{}")
			}
		case *ast.AssignStmt:
			if n.Tok == token.ASSIGN {
				add(n.Pos(), n.End(), "{}")
			}
		}

		return true
	})

	return found
}
