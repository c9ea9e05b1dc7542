package leakgate

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"go.uber.org/goleak"
)

// open is what the tests that overlap now have in common.
var open struct {
	sync.Mutex
	tests int // zero means that the last one has ended
	*whole
}

// whole is what this process has as a whole: no test can tell whose a child, a
// descriptor or a goroutine is.
type whole struct {
	names      []string // of the tests
	markers    []string
	goroutines goleak.Option
	fds        map[string]string
	processes  map[int]string
}

func newWhole(markers []string) *whole {
	startPoller()

	return &whole{
		markers:    markers,
		goroutines: goleak.IgnoreCurrent(),
		fds:        openFDs(),
		processes:  ours(markers),
	}
}

// maxNames is how many of the tests that overlap are named.
const maxNames = 10

// enter adds a test to those that overlap.
func enter(name string, markers []string) *whole {
	open.Lock()
	defer open.Unlock()

	if open.whole == nil {
		open.whole = newWhole(slices.Clone(markers))
	}

	open.tests++

	open.names = append(open.names, name)
	for _, m := range markers {
		if !slices.Contains(open.markers, m) {
			open.markers = append(open.markers, m)
		}
	}

	return open.whole
}

func leave() {
	open.Lock()
	defer open.Unlock()
	open.tests--
}

// wait checks until nothing is left or the patience of g ends. It leaves that to
// the tests that still run, if any do.
func (w *whole) wait(g *gate) error {
	err := g.until(func() error {
		markers, ended := w.ended()
		if !ended {
			return nil
		}

		return w.check(markers)
	})

	open.Lock()
	defer open.Unlock()

	// Another test may have begun while the check went on, and would be blamed for.
	if open.tests > 0 {
		return nil
	}

	open.whole = nil
	if err != nil && len(w.names) > 1 {
		names := strings.Join(w.names[max(0, len(w.names)-maxNames):], ", ")
		err = fmt.Errorf("%w\nby one of %d tests, the last of which are %s", err, len(w.names), names)
	}

	return err
}

// ended reports whether the last test has ended, and which markers all of them had.
func (w *whole) ended() (markers []string, ok bool) {
	open.Lock()
	defer open.Unlock()
	return slices.Clone(w.markers), open.tests == 0
}

const (
	// keptThread is a goroutine that stays for good, with a thread.
	keptThread = "github.com/gopassenger/passenger/internal/confine.(*thread).run"
	// runningTest is a parallel test that waits for its turn, or for its subtests.
	runningTest = "testing.tRunner"
)

func (w *whole) check(markers []string) error {
	var errs []error
	for pid, what := range ours(markers) {
		if _, before := w.processes[pid]; !before {
			errs = append(errs, fmt.Errorf("process %d: %s", pid, what))
		}
	}

	if now := openFDs(); len(now) > len(w.fds) {
		for fd, target := range now {
			if w.fds[fd] != target {
				errs = append(errs, fmt.Errorf("file descriptor %s: %s", fd, target))
			}
		}
	}

	if len(errs) > 0 {
		return errors.Join(errs...)
	}

	// goleak looks for itself for a while.
	return goleak.Find(w.goroutines, goleak.IgnoreAnyFunction(keptThread), goleak.IgnoreAnyFunction(runningTest))
}

// startPoller makes the runtime open what it keeps open.
func startPoller() {
	r, w, err := os.Pipe()
	if err == nil {
		_ = r.Close()
		_ = w.Close()
	}
}
