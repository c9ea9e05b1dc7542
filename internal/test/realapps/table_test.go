package realapps_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was seen of each application stands in a table of docs/frameworks.md, which is written by
// PASSENGER_REAL_APPS=1 go test ./internal/test/realapps -update
var update = flag.Bool("update", false, "write the table of applications into docs/frameworks.md")

const tablePage = "../../../docs/frameworks.md"

// What is seen of an application.
const (
	responded = "first response"
	posted    = "POST"
	gotFile   = "static file"
	gotStream = "stream"
	gotSocket = "WebSocket"
	restarted = "restart under load"
)

var columns = []string{responded, posted, gotFile, gotStream, gotSocket, restarted}

var tableIntro = "| application | typed | " + strings.Join(columns, " | ") + " |\n" +
	strings.Repeat("|---", 2+len(columns)) + "|\n"

// tableRow matches a row with its application.
var tableRow = regexp.MustCompile(`(?m)^\| ([^|]+) \|.*\n`)

// table has the rows of the tests that have passed.
var table struct {
	sync.Mutex
	rows map[string]string
}

// evidence is what was seen of the application of one test.
type evidence struct {
	mu    sync.Mutex
	typed string
	// cells are those of the row, by their columns.
	cells map[string]string
}

// add notes that the application has shown something.
func (e *evidence) add(what string) { e.set(what, "yes") }

// lacks notes that the application has no such thing, since what it is made of has none.
func (e *evidence) lacks(what, madeOf string) { e.set(what, "not in "+madeOf) }

// saw notes a response.
func (e *evidence) saw(method, target string, status int) {
	switch {
	case method == http.MethodGet:
		e.set(responded, fmt.Sprintf("%d for `%s`", status, target))
	case method == http.MethodPost && status < http.StatusBadRequest:
		e.add(posted)
	}
}

// set fills a cell, unless it is full.
func (e *evidence) set(column, cell string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cells[column] == "" {
		e.cells[column] = cell
	}
}

// newEvidence returns what gets into the table if the test passes and has restarted the application. Such a test has
// to fill each cell.
func newEvidence(t testing.TB, args []string) *evidence {
	t.Helper()
	e := &evidence{typed: typed(args), cells: map[string]string{}}
	t.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if t.Failed() || e.cells[restarted] == "" {
			return
		}

		row := "| " + rowName(t.Name()) + " | `" + e.typed + "` |"
		for _, column := range columns {
			if e.cells[column] == "" {
				t.Errorf("the test has not looked for %q: let it, or say by lacks why there is none", column)
			}

			row += " " + e.cells[column] + " |"
		}

		table.Lock()
		defer table.Unlock()
		if table.rows == nil {
			table.rows = map[string]string{}
		}

		table.rows[rowName(t.Name())] = row + "\n"
	})

	return e
}

// typed is a command without what only a test gives.
func typed(args []string) string {
	words := []string{"passenger", "start"}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--python", args[i] == "--php-ini":
			i++ // a user's is that of the virtual environment, and the settings are what a test looks at
		case strings.ContainsAny(args[i], " $"):
			words = append(words, "'"+args[i]+"'")
		default:
			words = append(words, args[i])
		}
	}

	return strings.Join(words, " ")
}

func rowName(test string) string {
	return strings.NewReplacer("/", ", ", "_", " ").Replace(strings.TrimPrefix(test, "Test"))
}

func TestTableOfApplicationsHasNoEmptyCell(t *testing.T) {
	t.Parallel()

	if *update {
		t.Skip("it is about to be written")
	}

	_, table, _, err := cutTable()
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(table, tableIntro), "its columns are others")

	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		require.Len(t, cells, len(columns)+4, line)

		for _, cell := range cells[1 : len(cells)-1] {
			require.NotEmpty(t, strings.TrimSpace(cell), line)
		}
	}
}

// cutTable returns the table in the document, and what is before and after it.
func cutTable() (before, table, after string, err error) {
	text, err := os.ReadFile(tablePage)
	if err != nil {
		return "", "", "", err
	}

	before, rest, found := strings.Cut(string(text), "<!-- applications -->\n")
	table, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		return "", "", "", fmt.Errorf("%s has no place for the table of applications", tablePage)
	}

	return before, table, after, nil
}

// checkTable compares the rows of the tests that have passed with the document's, or writes them there.
func checkTable() error {
	before, old, after, err := cutTable()
	if err != nil {
		return err
	}

	rows := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(old, -1) {
		if row[1] != "application" {
			rows[row[1]] = row[0]
		}
	}

	maps.Copy(rows, table.rows)

	now := tableIntro
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		now += rows[name]
	}

	switch {
	case now == old:
		return nil
	case *update:
		return os.WriteFile(tablePage, []byte(before+"<!-- applications -->\n"+now+"<!-- end -->"+after), 0o644)
	default:
		return fmt.Errorf("the table of applications in %s is not what the tests have seen: "+
			"go test ./internal/test/realapps -update writes it", tablePage)
	}
}
