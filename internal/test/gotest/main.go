// Command gotest runs go test and prints what that prints of packages and of tests that fail. It adds the tests that
// were skipped or shortened to a file, and -summary tells how many there were and why:
//
//	gotest -notes FILE -race ./...
//	gotest -notes FILE -summary
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/internal/test/longtests"
)

// event is one of go test -json.
type event struct {
	Action, Package, Test, Output string
}

func main() {
	status, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		status = 1
	}

	os.Exit(status)
}

func run(args []string, out io.Writer) (status int, err error) {
	if len(args) < 3 || args[0] != "-notes" {
		return 1, errors.New("usage: gotest -notes FILE (-summary | ARGUMENTS OF GO TEST)")
	}

	if args[2] == "-summary" {
		return 0, summarize(args[1], out)
	}

	notes, err := os.OpenFile(args[1], //nolint:gosec // G703: the caller's file
		os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 1, err
	}
	defer notes.Close()

	cmd := exec.Command("go", append([]string{"test", "-json"}, args[2:]...)...) //nolint:noctx,gosec // to its end
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}

	if err := cmd.Start(); err != nil {
		return 1, err
	}

	if err := filter(events, out, notes); err != nil {
		return 1, errors.Join(err, cmd.Wait())
	}

	if err := cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
		return 1, err
	}

	return cmd.ProcessState.ExitCode(), nil
}

var (
	skipReason = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)$`)
	noise      = regexp.MustCompile(`^\s*(=== |--- PASS|--- SKIP|PASS\s*$)`)
)

// show prints what was printed by a test.
func show(out io.Writer, lines []string) {
	for _, line := range lines {
		if !noise.MatchString(line) {
			fmt.Fprint(out, line)
		}
	}
}

// filter copies what go test prints without -v, and notes what was left out.
func filter(events io.Reader, out, notes io.Writer) error {
	printed := map[string][]string{} // of each test that has not ended
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)

	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}

		// A parent's output holds that of its subtests, so that it is printed in one piece.
		test, _, _ := strings.Cut(e.Test, "/")
		key := e.Package + " " + test

		switch e.Action {
		case "output", "build-output":
			if e.Test == "" && !noise.MatchString(e.Output) {
				fmt.Fprint(out, e.Output)
			} else if e.Test != "" {
				printed[key] = append(printed[key], e.Output)
				note(&e, notes)
			}
		case "skip":
			if e.Test != "" {
				fmt.Fprintf(notes, "skipped\t%s\n", reasonOf(printed[key]))
			}
		case "fail":
			switch e.Test {
			case "":
				// A test in which the program has ended has no result of its own.
				for key := range printed {
					if strings.HasPrefix(key, e.Package+" ") {
						show(out, printed[key])
						delete(printed, key)
					}
				}
			case test:
				show(out, printed[key])
			}
		}

		if e.Test == test && slices.Contains([]string{"pass", "fail", "skip"}, e.Action) {
			delete(printed, key)
		}
	}

	return lines.Err()
}

func note(e *event, notes io.Writer) {
	if found := skipReason.FindStringSubmatch(strings.TrimSuffix(e.Output, "\n")); found != nil &&
		strings.HasPrefix(found[1], longtests.Mark) {
		fmt.Fprintf(notes, "shortened\t%s.%s\n", e.Package, e.Test)
	}
}

// reasonOf is what a test that was skipped has printed last.
func reasonOf(printed []string) string {
	for _, line := range slices.Backward(printed) {
		if found := skipReason.FindStringSubmatch(strings.TrimSuffix(line, "\n")); found != nil {
			return found[1]
		}
	}

	return "no reason given"
}

// summarize prints how many tests were skipped for each reason, and how many shortened.
func summarize(path string, out io.Writer) error {
	content, err := os.ReadFile(path) //nolint:gosec // G304: the caller's file
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	reasons, shortened, skipped := map[string]int{}, map[string]bool{}, 0
	for line := range strings.Lines(string(content)) {
		kind, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if kind == "shortened" {
			shortened[text] = true
			continue
		}

		if strings.HasPrefix(text, longtests.Variable) {
			text = "only with " + longtests.Variable + "=1"
		}

		skipped++
		reasons[text]++
	}

	parts := make([]string, 0, len(reasons))
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%d: %s", reasons[reason], reason))
	}

	_, err = fmt.Fprintf(out, "%d tests skipped (%s), %d shortened (%s=1 runs them whole)\n", skipped,
		strings.Join(parts, "; "), len(shortened), longtests.Variable)

	return err
}
