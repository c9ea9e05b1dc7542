// Package smalldisk makes file systems for tests that are soon full.
package smalldisk

import (
	"syscall"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// TB is what *testing.T and *testing.B are.
type TB interface {
	interpreters.TB
	TempDir() string
	Cleanup(f func())
	Errorf(format string, args ...any)
}

// Mount returns a directory that is a file system of its own, in memory, with
// tmpfs's options such as "size=256k". It is gone after the test, in which no file
// of it may be open then. Without root, there is none: the test ends as
// interpreters.Missing does it.
func Mount(t TB, options string) (dir string) {
	t.Helper()
	interpreters.Root(t, "to make a small file system")
	dir = t.TempDir()
	if err := mount(dir, options); err != nil {
		interpreters.Missing(t, "root", "cannot mount a small file system: "+err.Error())
	}

	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})

	return dir
}
