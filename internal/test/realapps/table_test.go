package realapps_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What was seen of each application stands in a table of docs/frameworks.md, which is written by
// PASSENGER_REAL_APPS=1 go test ./internal/test/realapps -update
var update = flag.Bool("update", false, "write the table of applications into docs/frameworks.md")

const tablePage = "../../../docs/frameworks.md"

// What is seen of an application.
const (
	posted     = "POST"
	gotFile    = "static file"
	gotStream  = "stream"
	gotSocket  = "WebSocket"
	restarted  = "restart under load"
	tableIntro = "| application | typed | " + posted + " | " + gotFile + " | " + gotStream + " | " + gotSocket +
		" | " + restarted + " |\n|---|---|---|---|---|---|---|\n"
)

var columns = []string{posted, gotFile, gotStream, gotSocket, restarted}

// tableRow matches a row with its application.
var tableRow = regexp.MustCompile(`(?m)^\| ([^|]+) \| .*\n`)

// table has the rows of the tests that have passed.
var table struct {
	sync.Mutex
	rows map[string]string
}

// evidence is what was seen of the application of one test.
type evidence struct {
	mu    sync.Mutex
	typed string
	seen  map[string]bool
}

func (e *evidence) add(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[what] = true
}

// newEvidence returns what gets into the table if the test passes and has restarted the application.
func newEvidence(t testing.TB, args []string) *evidence {
	t.Helper()
	e := &evidence{typed: typed(args), seen: map[string]bool{}}
	t.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if t.Failed() || !e.seen[restarted] {
			return
		}

		row := "| " + rowName(t.Name()) + " | `" + e.typed + "` |"
		for _, column := range columns {
			if e.seen[column] {
				row += " yes |"
			} else {
				row += " |"
			}
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

// checkTable compares the rows of the tests that have passed with the document's, or writes them there.
func checkTable() error {
	text, err := os.ReadFile(tablePage)
	if err != nil {
		return err
	}

	before, rest, found := strings.Cut(string(text), "<!-- applications -->\n")
	old, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table of applications", tablePage)
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
