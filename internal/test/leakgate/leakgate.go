// Package leakgate makes tests fail that leave something behind: processes,
// file descriptors, goroutines, files.
package leakgate

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/goleak"
)

const (
	patience = 5 * time.Second
	interval = 20 * time.Millisecond
)

// TB is what Check needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
}

// Option says what else to look at.
type Option func(*gate)

// Dir makes directories that must be empty or gone at the end.
func Dir(paths ...string) Option {
	return func(g *gate) { g.dirs = append(g.dirs, paths...) }
}

// Marker is an environment variable, as NAME=value, that no process must have
// at the end that did not have it at the beginning.
func Marker(entry string) Option {
	return func(g *gate) { g.markers = append(g.markers, entry) }
}

// Account is called at the end until it returns nil, to check what only the
// test knows how to count.
func Account(check func() error) Option {
	return func(g *gate) { g.accounts = append(g.accounts, check) }
}

// Within bounds how long Check waits for things to go; without it that is five
// seconds.
func Within(d time.Duration) Option {
	return func(g *gate) { g.patience = d }
}

// Check notes what is there now and makes t fail when there is more after its
// other cleanups and some patience. It must be called first in a test, and the
// test must not be parallel to others.
func Check(t TB, opts ...Option) {
	t.Helper()

	g := &gate{patience: patience}
	for _, o := range opts {
		o(g)
	}

	g.begin()
	t.Cleanup(func() {
		t.Helper()
		if err := g.wait(); err != nil {
			t.Errorf("left behind:\n%v", err)
		}
	})
}

// keptThread is a goroutine that stays for good, with a thread.
const keptThread = "github.com/gopassenger/passenger/internal/confine.(*thread).run"

type gate struct {
	dirs     []string
	markers  []string
	accounts []func() error
	patience time.Duration

	goroutines goleak.Option
	fds        map[string]string
	processes  map[int]string
}

func (g *gate) begin() {
	startPoller()
	g.goroutines = goleak.IgnoreCurrent()
	g.fds = openFDs()
	g.processes = ours(g.markers)
}

// wait checks until nothing is left or patience ends.
func (g *gate) wait() error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	end := time.NewTimer(g.patience)
	defer end.Stop()

	for {
		err := g.check()
		if err == nil {
			// goleak looks for itself for a while.
			if err = goleak.Find(g.goroutines, goleak.IgnoreAnyFunction(keptThread)); err == nil {
				return nil
			}
		}

		select {
		case <-tick.C:
		case <-end.C:
			return err
		}
	}
}

func (g *gate) check() error {
	var errs []error
	for pid, what := range ours(g.markers) {
		if _, before := g.processes[pid]; !before {
			errs = append(errs, fmt.Errorf("process %d: %s", pid, what))
		}
	}

	if now := openFDs(); len(now) > len(g.fds) {
		for fd, target := range now {
			if g.fds[fd] != target {
				errs = append(errs, fmt.Errorf("file descriptor %s: %s", fd, target))
			}
		}
	}

	for _, dir := range g.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}

		if len(entries) > 0 {
			names := make([]string, len(entries))
			for i, e := range entries {
				names[i] = e.Name()
			}

			errs = append(errs, fmt.Errorf("in %s: %s", dir, strings.Join(names, " ")))
		}
	}

	for _, account := range g.accounts {
		errs = append(errs, account())
	}

	return errors.Join(errs...)
}

// startPoller makes the runtime open what it keeps open.
func startPoller() {
	r, w, err := os.Pipe()
	if err == nil {
		_ = r.Close()
		_ = w.Close()
	}
}
