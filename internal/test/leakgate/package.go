package leakgate

import (
	"fmt"
	"os"
)

// Package runs the tests of a package, some of which are parallel, behind one
// gate that closes after all of them. It returns the status to exit with.
func Package(run func() int) (status int) {
	gate := &packageGate{}
	Check(gate)
	return max(run(), gate.end())
}

type packageGate struct {
	cleanups []func()
	failed   bool
}

func (*packageGate) Helper()            {}
func (g *packageGate) Cleanup(f func()) { g.cleanups = append(g.cleanups, f) }
func (g *packageGate) Errorf(format string, args ...any) {
	g.failed = true
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func (g *packageGate) end() (status int) {
	for _, f := range g.cleanups {
		f()
	}

	if g.failed {
		return 1
	}

	return 0
}
