// Package boxed gives the programs that tests run a place of their own, in which
// nothing may be left when they have ended.
package boxed

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/gopassenger/passenger/internal/test/awaited"
	"github.com/gopassenger/passenger/internal/test/marked"
)

// TB is what *testing.T and *testing.B are.
type TB interface {
	Helper()
	Cleanup(f func())
	Failed() bool
	Fatal(args ...any)
	Log(args ...any)
}

// Box is what one program, and those that it starts, may use.
type Box struct {
	// Marker is an entry of the environment by which its processes are found.
	Marker string
	// Dir holds Tmp, the TMPDIR and the registry of instances, and Home, the HOME.
	Dir, Tmp, Home string
}

// Variable is the name of the marker.
const Variable = "BOX_MARKER"

var boxes atomic.Int64

// New makes a box in a directory. After the test it is gone, with all processes in
// it.
func New(t TB, parent string) *Box {
	t.Helper()
	number := strconv.FormatInt(boxes.Add(1), 10)
	dir := filepath.Join(parent, number)

	// Suites run at the same time, and each counts from 1.
	b := &Box{
		Marker: Variable + "=" + strconv.Itoa(os.Getpid()) + "." + number,
		Dir:    dir,
		Tmp:    filepath.Join(dir, "t"),
		Home:   filepath.Join(dir, "home"),
	}
	for _, d := range []string{b.Tmp, b.Home} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}

	t.Cleanup(func() {
		for pid := range b.Processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}

		_ = os.RemoveAll(dir)
	})

	return b
}

// Env is the environment of the program.
func (b *Box) Env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + b.Home, "TMPDIR=" + b.Tmp,
		"PASSENGER_INSTANCE_REGISTRY_DIR=" + b.Tmp, b.Marker,
	}

	// A suite can be run with the other server of HTTP.
	if name := os.Getenv("PASSENGER_TEST_HTTP_SERVER"); name != "" {
		env = append(env, "PASSENGER_HTTP_SERVER="+name)
	}

	return env
}

// Processes are those in the box, with their command lines.
func (b *Box) Processes() map[int]string { return marked.Processes(b.Marker) }

// Children are those that parent has started.
func (b *Box) Children(parent int) []int { return marked.Children(b.Marker, parent) }

// shells run scripts of the core's own, which have none of the environment.
var shells = []string{"sh", "dash", "bash", "busybox"}

// Apps are the children of a core that run something else. A child that was just forked has the core's program and
// environment for a moment, also one that belongs to nothing in the box: a shell of the core's own. The environment of
// others is not read again, as a program that sets its title writes over it.
func (b *Box) Apps(core int) []int {
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", core))
	if err != nil {
		return nil
	}

	return slices.DeleteFunc(b.Children(core), func(pid int) bool {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err != nil || exe == own || slices.Contains(shells, filepath.Base(exe)) && !marked.Has(pid, b.Marker)
	})
}

// Core is the core of a server, whose process is its watchdog; zero means that there is none.
func (b *Box) Core(watchdog int) int { return marked.Core(b.Marker, watchdog) }

// RequireClean waits, with some patience, until nothing is left in the box.
func (b *Box) RequireClean(t TB) {
	t.Helper()
	must(t, awaited.Within(Patience, b.Leftovers))
}

// Leftovers is an error when there are processes or temporary files in the box.
func (b *Box) Leftovers() error {
	for pid, line := range b.Processes() {
		return fmt.Errorf("process %d is left behind: %s", pid, line)
	}

	entries, err := os.ReadDir(b.Tmp)
	if len(entries) > 0 {
		return fmt.Errorf("left behind in TMPDIR: %v", entries)
	}

	return err
}
