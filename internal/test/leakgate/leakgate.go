// Package leakgate makes tests fail that leave something behind: processes,
// file descriptors, goroutines, files.
package leakgate

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	patience = 5 * time.Second
	interval = 20 * time.Millisecond
)

// TB is what Check needs of a testing.TB.
type TB interface {
	Helper()
	Name() string
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
// other cleanups and some patience. It must be called first in a test.
//
// Parallel tests see each other's processes, descriptors and goroutines. These
// are checked once for tests that overlap, when the last of them ends, against
// what was there when the first began; a parallel test that does not call Check
// must not have any of them.
func Check(t TB, opts ...Option) {
	t.Helper()

	g := &gate{patience: patience}
	for _, o := range opts {
		o(g)
	}

	whole := enter(t.Name(), g.markers)
	t.Cleanup(func() {
		t.Helper()
		own := g.until(g.check)
		leave()
		if err := errors.Join(own, whole.wait(g)); err != nil {
			t.Errorf("left behind:\n%v", err)
		}
	})
}

// gate looks for what one test leaves in places of its own.
type gate struct {
	dirs     []string
	markers  []string
	accounts []func() error
	patience time.Duration
}

// until repeats a check until it passes or patience ends.
func (g *gate) until(check func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	end := time.NewTimer(g.patience)
	defer end.Stop()

	for {
		err := check()
		if err == nil {
			return nil
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
