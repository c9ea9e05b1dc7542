package spawner

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
	"github.com/gopassenger/passenger/internal/test/longtests"
)

// pythonTruth prints what Python finds at the top level of the files of its own library, and of all packages if the
// argument is "True".
const pythonTruth = `
import ast, glob, json, os, sys, warnings

warnings.simplefilter("ignore")
if sys.argv[1] == "True":
    patterns = [os.path.join(directory, "**", "*.py") for directory in sys.path]
else:
    patterns = [os.path.join(os.path.dirname(os.__file__), "*.py")]
for path in {path for pattern in patterns for path in glob.glob(pattern, recursive=True)}:
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError):
        continue

    values, functions, imports = set(), {}, set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and node.simple and node.value:
            values.add(node.target.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            a = node.args
            needed = len(a.posonlyargs) + len(a.args) - len(a.defaults) + sum(d is None for d in a.kw_defaults)
            functions[node.name] = [isinstance(node, ast.AsyncFunctionDef), needed == 0]
        elif isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports.add("." * node.level + (node.module or ""))

    print(json.dumps({
        "path": path, "values": sorted(values), "functions": functions, "imports": sorted(imports),
    }))
`

// What detection reads of a file is what Python reads.
func TestPythonIsReadAsByPython(t *testing.T) {
	t.Parallel()
	everything := longtests.Rounds(t, 1, 10_000) > 1
	python := interpreters.Find(t, "python", "/usr/bin/python3", "python3")
	out, err := exec.CommandContext(t.Context(), python, "-I", "-c", pythonTruth,
		map[bool]string{false: "False", true: "True"}[everything]).Output()
	require.NoError(t, err)

	files := 0
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); files++ {
		var want struct {
			Path            string
			Values, Imports []string
			// Functions says of each whether it is asynchronous, and can be called without arguments.
			Functions map[string][2]bool
		}
		require.NoError(t, d.Decode(&want))
		source, err := os.ReadFile(want.Path)
		require.NoError(t, err)

		m := parsePython(string(source))

		functions := map[string][2]bool{}
		for name, f := range m.functions {
			functions[name] = [2]bool{f.async, f.isFactory()}
		}

		require.Equal(t, want.Functions, functions, want.Path)
		require.Equal(t, want.Values, append([]string{}, slices.Sorted(maps.Keys(m.values))...), want.Path)
		slices.Sort(m.imports)
		require.Equal(t, want.Imports, append([]string{}, slices.Compact(m.imports)...), want.Path)
	}

	require.Greater(t, files, 100)
	t.Log(strconv.Itoa(files) + " files")
}

func FuzzPythonStatements(f *testing.F) {
	f.Add("a = 1; b = '\\\n'\nif x: c = 2; d = 3\n")
	f.Add("def f(a, *, b='''\n''') -> [\nint]: # x\n  return\\\n1\nx = \"")
	f.Fuzz(func(t *testing.T, source string) {
		for _, statement := range pythonStatements(source) {
			require.NotContains(t, statement, "\n", "a statement is one line")
			require.NotEmpty(t, statement)
		}

		parsePython(source)
	})
}
